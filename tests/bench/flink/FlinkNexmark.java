import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;

/**
 * Runs Nexmark queries on a local Flink mini-cluster: sources read a Kafka broker to where it ends, the sink is Flink's blackhole.
 * Arguments: bootstrap address, directory for checkpoints, then files of one SELECT each. Prints `name milliseconds` a query, from
 * the submission to the end of the job.
 */
public class FlinkNexmark {
  public static void main(String[] args) throws Exception {
    Configuration config = new Configuration();
    config.setString("parallelism.default", "1");
    config.setString("state.backend.type", "rocksdb");
    config.setString("execution.checkpointing.interval", "10s");
    config.setString("execution.checkpointing.dir", "file://" + args[1]);
    // As the guide of the benchmark sets it.
    config.setString("table.exec.mini-batch.enabled", "true");
    config.setString("table.exec.mini-batch.allow-latency", "2s");
    config.setString("table.exec.mini-batch.size", "50000");
    config.setString("table.optimizer.distinct-agg.split.enabled", "true");
    config.setString("taskmanager.memory.managed.size", "2g");
    config.setString("taskmanager.memory.network.min", "64m");
    for (int i = 2; i < args.length; i++) {
      Path file = Path.of(args[i]);
      TableEnvironment tables = TableEnvironment.create(
          EnvironmentSettings.newInstance().inStreamingMode().withConfiguration(config).build());
      for (String[] source : SOURCES) {
        tables.executeSql("CREATE TABLE " + source[0] + " (" + source[1]
            + ", WATERMARK FOR date_time AS date_time - INTERVAL '4' SECOND) WITH ('connector' = 'kafka', 'topic' = '" + source[0]
            + "', 'properties.bootstrap.servers' = '" + args[0]
            + "', 'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = 'latest-offset', 'format' = 'json')");
      }
      long began = System.nanoTime();
      tables.executeSql("CREATE TABLE taken WITH ('connector' = 'blackhole') AS " + Files.readString(file)).await();
      long took = (System.nanoTime() - began) / 1_000_000;
      System.out.println(file.getFileName().toString().replace(".sql", "") + " " + took);
    }
    System.exit(0);
  }

  private static final String[][] SOURCES = {
    {"person", "id BIGINT, name STRING, email_address STRING, credit_card STRING, city STRING, state STRING, date_time TIMESTAMP(3), extra STRING"},
    {"auction", "id BIGINT, item_name STRING, description STRING, initial_bid BIGINT, reserve BIGINT, date_time TIMESTAMP(3), "
        + "expires TIMESTAMP(3), seller BIGINT, category BIGINT, extra STRING"},
    {"bid", "auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, url STRING, date_time TIMESTAMP(3), extra STRING"},
  };
}

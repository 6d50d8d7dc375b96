"""Checks of confluent-kafka-python against a broker: prints one JSON line a case. Arguments: bootstrap address, parts of the names of the cases to run."""

import json
import sys
import time
import uuid

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions, NewTopic

BOOTSTRAP = sys.argv[1]
ONLY = sys.argv[2:]
ADMIN = AdminClient({"bootstrap.servers": BOOTSTRAP})


def name(prefix):
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


def topic(partitions=1):
    made = name("topic")
    ADMIN.create_topics([NewTopic(made, partitions, 1)])[made].result(20)
    return made


def produce(to, count, **config):
    producer = Producer({"bootstrap.servers": BOOTSTRAP, **config})
    errors = []
    for i in range(count):
        producer.produce(to, key=str(i), value=f"v{i}", on_delivery=lambda e, m: e and errors.append(e))
    assert producer.flush(60) == 0 and not errors, errors


def consumer(group, protocol, **config):
    base = {"bootstrap.servers": BOOTSTRAP, "group.id": group, "group.protocol": protocol, "auto.offset.reset": "earliest"}
    if protocol == "classic":
        base["session.timeout.ms"] = 6000
    return Consumer({**base, "enable.auto.commit": False, **config})


def read(one, count, seconds=60):
    got, end = [], time.time() + seconds
    while len(got) < count and time.time() < end:
        message = one.poll(0.2)
        if message is not None and message.error() is None:
            got.append(message)
    return got


def round_trip(**config):
    to = topic()
    produce(to, 1000, **config)
    one = consumer(name("g"), "classic")
    one.subscribe([to])
    values = [m.value().decode() for m in read(one, 1000)]
    one.close()
    assert values == [f"v{i}" for i in range(1000)], len(values)


def group_of_three(protocol):
    to, group = topic(6), name("g")
    produce(to, 600)
    members = [consumer(group, protocol) for _ in range(3)]
    for one in members:
        one.subscribe([to])
    end = time.time() + 60
    while time.time() < end:
        for one in members:
            one.poll(0.1)
        owned = [{p.partition for p in one.assignment()} for one in members]
        if all(len(part) == 2 for part in owned) and len(set().union(*owned)) == 6:
            break
    else:
        raise AssertionError(f"not balanced: {owned}")
    members.pop().close()
    end = time.time() + 60
    while time.time() < end:
        for one in members:
            one.poll(0.1)
        owned = [{p.partition for p in one.assignment()} for one in members]
        if all(len(part) == 3 for part in owned) and len(set().union(*owned)) == 6:
            break
    else:
        raise AssertionError(f"not balanced after one left: {owned}")
    for one in members:
        one.close()


def commit_and_resume(protocol):
    to, group = topic(), name("g")
    produce(to, 100)
    one = consumer(group, protocol)
    one.subscribe([to])
    got = read(one, 40)
    one.commit(message=got[39], asynchronous=False)
    one.close()
    two = consumer(group, protocol)
    two.subscribe([to])
    rest = read(two, 60)
    two.close()
    assert rest[0].offset() == 40 and len(rest) == 60, (rest[0].offset() if rest else None, len(rest))


def regex_subscription(protocol):
    prefix = name("rx")
    for suffix in ("a", "b"):
        ADMIN.create_topics([NewTopic(f"{prefix}-{suffix}", 1, 1)])[f"{prefix}-{suffix}"].result(20)
        produce(f"{prefix}-{suffix}", 10)
    one = consumer(name("g"), protocol, **{"topic.metadata.refresh.interval.ms": 1000})
    one.subscribe([f"^{prefix}-.*"])
    topics = {m.topic() for m in read(one, 20)}
    one.close()
    assert topics == {f"{prefix}-a", f"{prefix}-b"}, topics


def static_member(protocol):
    to, group = topic(2), name("g")
    produce(to, 20)
    one = consumer(group, protocol, **{"group.instance.id": "static-1"})
    one.subscribe([to])
    assert len(read(one, 20)) == 20
    one.close()
    two = consumer(group, protocol, **{"group.instance.id": "static-1"})
    two.subscribe([to])
    assert len(read(two, 20)) == 20
    two.close()


def group_type(group):
    groups = ADMIN.list_consumer_groups(request_timeout=20).result(20).valid
    return next((one.type.name.lower() for one in groups if one.group_id == group), None)


def upgrade(**classic):
    """Consumers are replaced one by one, to the other protocol and back, while records come: each record is read, and committed work is not done again."""
    to, group = topic(6), name("g")
    producer = Producer({"bootstrap.servers": BOOTSTRAP})
    members = {f"c{i}": consumer(group, "classic", **classic) for i in range(3)}
    for one in members.values():
        one.subscribe([to])
    sent, seen = 0, {}

    def owned():
        return [p.partition for one in members.values() for p in one.assignment()]

    def work(until, seconds=60):
        nonlocal sent
        end = time.time() + seconds
        while time.time() < end:
            producer.produce(to, value=str(sent), partition=sent % 6)
            producer.poll(0)
            sent += 1
            for one in members.values():
                message = one.poll(0.02)
                if message is not None and message.error() is None:
                    seen[message.value()] = seen.get(message.value(), 0) + 1
                    try:
                        one.commit(message=message, asynchronous=False)
                    except KafkaException:
                        pass  # A rebalance came first: whoever gets the partition reads it again.
            if until():
                return
        raise AssertionError(f"{group_type(group)}: {[[p.partition for p in one.assignment()] for one in members.values()]}")

    def balanced():
        return sorted(owned()) == list(range(6)) and all(one.assignment() for one in members.values())

    work(balanced)
    assert group_type(group) == "classic", group_type(group)
    for old, new, protocol, config in (
        *[(f"c{i}", f"m{i}", "consumer", {}) for i in range(3)],
        *[(f"m{i}", f"d{i}", "classic", classic) for i in range(3)],
    ):
        members[new] = consumer(group, protocol, **config)
        members[new].subscribe([to])
        work(balanced)
        assert group_type(group) == "consumer", group_type(group)
        members.pop(old).close()
        work(balanced)
    work(lambda: group_type(group) == "classic" and balanced())
    assert producer.flush(20) == 0
    work(lambda: len(seen) >= sent - 6)
    for one in members.values():
        one.close()
    repeated = sum(count - 1 for count in seen.values())
    assert repeated < sent / 10, f"{repeated} of {sent} read again"


def transaction():
    to = topic()
    producer = Producer({"bootstrap.servers": BOOTSTRAP, "transactional.id": name("t")})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(to, "aborted")
    producer.flush(20)
    producer.abort_transaction(30)
    producer.begin_transaction()
    producer.produce(to, "committed")
    producer.commit_transaction(30)
    one = consumer(name("g"), "classic", **{"isolation.level": "read_committed"})
    one.subscribe([to])
    values = [m.value() for m in read(one, 1)]
    one.close()
    assert values == [b"committed"], values


def offsets_in_transaction(protocol):
    source, to, group = topic(), topic(), name("g")
    produce(source, 10)
    one = consumer(group, protocol, **{"isolation.level": "read_committed"})
    one.subscribe([source])
    got = read(one, 10)
    producer = Producer({"bootstrap.servers": BOOTSTRAP, "transactional.id": name("t")})
    producer.init_transactions(30)
    producer.begin_transaction()
    for message in got:
        producer.produce(to, message.value())
    producer.send_offsets_to_transaction(one.position(one.assignment()), one.consumer_group_metadata(), 30)
    producer.commit_transaction(30)
    committed = one.committed([TopicPartition(source, 0)], 20)
    one.close()
    assert committed[0].offset == 10, committed


def admin_topics():
    made = topic(2)
    ADMIN.create_partitions([NewPartitions(made, 4)])[made].result(20)
    assert len(ADMIN.list_topics(made, 20).topics[made].partitions) == 4
    ADMIN.delete_topics([made])[made].result(20)


def admin_configs():
    made = topic()
    resource = ConfigResource(ConfigResource.Type.TOPIC, made)
    config = ADMIN.describe_configs([resource])[resource].result(20)
    assert "retention.ms" in config and "cleanup.policy" in config, sorted(config)


def admin_groups():
    to, group = topic(), name("g")
    produce(to, 10)
    one = consumer(group, "classic")
    one.subscribe([to])
    one.commit(message=read(one, 10)[9], asynchronous=False)
    one.close()
    offsets = ADMIN.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group].result(20)
    assert offsets.topic_partitions[0].offset == 10
    reset = ConsumerGroupTopicPartitions(group, [TopicPartition(to, 0, 3)])
    ADMIN.alter_consumer_group_offsets([reset])[group].result(20)
    assert ADMIN.describe_consumer_groups([group])[group].result(20).group_id == group
    ADMIN.delete_consumer_groups([group])[group].result(20)


CASES = [
    ("produce and consume", lambda: round_trip()),
    ("idempotent producer", lambda: round_trip(**{"enable.idempotence": True})),
    *[(f"codec {codec}", lambda codec=codec: round_trip(**{"compression.type": codec})) for codec in ("gzip", "snappy", "lz4", "zstd")],
    *[
        (f"{title}, group protocol {protocol}", lambda run=run, protocol=protocol: run(protocol))
        for protocol in ("classic", "consumer")
        for title, run in (
            ("three members balance, one leaves", group_of_three),
            ("commit and resume", commit_and_resume),
            ("regex subscription", regex_subscription),
            ("static member comes back", static_member),
            ("offsets in a transaction", offsets_in_transaction),
        )
    ],
    ("a group goes to the consumer protocol and back, assignor range", lambda: upgrade(**{"partition.assignment.strategy": "range"})),
    (
        "a group goes to the consumer protocol and back, assignor cooperative-sticky",
        lambda: upgrade(**{"partition.assignment.strategy": "cooperative-sticky"}),
    ),
    ("transaction: aborted records stay hidden", transaction),
    ("admin: topics", admin_topics),
    ("admin: configs", admin_configs),
    ("admin: group offsets", admin_groups),
]

for title, check in CASES:
    if ONLY and not any(part in title for part in ONLY):
        continue
    started = time.time()
    try:
        check()
        result = {"outcome": "pass"}
    except BaseException as error:
        result = {"outcome": "fail", "note": f"{type(error).__name__}: {error}"}
    print(json.dumps({"name": title, **result, "seconds": time.time() - started}), flush=True)

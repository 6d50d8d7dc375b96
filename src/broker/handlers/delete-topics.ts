import { isInternalTopic } from '../../ports/internal-topics.ts';
import { ERROR_CODES as E } from '../../protocol/error-codes.ts';
import { ZERO_UUID } from '../../protocol/schema.ts';
import type { Handler } from '../context.ts';
import { kafkaError, NO_ERROR } from '../kafka-error.ts';
import { findTopic } from '../topics.ts';

export const deleteTopics: Handler<'deleteTopics'> = async (request, call, { storage, log }) => {
  const wanted =
    call.version >= 6 ? request.topics : request.topicNames.map((name) => ({ name, topicId: ZERO_UUID as string }));
  const responses = [];
  for (const { name, topicId } of wanted) {
    const byId = topicId !== ZERO_UUID;
    if (byId === (name !== null)) {
      const errorMessage = 'a topic is named by name or by id';
      responses.push({ name, topicId, errorCode: E.INVALID_REQUEST, errorMessage });
      continue;
    }
    const topic = findTopic(storage, byId, name ?? '', topicId);
    if (typeof topic === 'number') {
      responses.push({ name, topicId, errorCode: topic, errorMessage: 'there is no such topic' });
    } else if (isInternalTopic(topic.name)) {
      const errorMessage = `${topic.name} is kept for the broker`;
      responses.push({ name: topic.name, topicId: topic.id, errorCode: E.INVALID_REQUEST, errorMessage });
    } else {
      const error = await storage.deleteTopic(topic.name).then(() => NO_ERROR, kafkaError);
      if (error === NO_ERROR) log.info('topic.deleted', { topic: topic.name });
      responses.push({ name: topic.name, topicId: topic.id, ...error });
    }
  }
  return { responses };
};

import type { JsonSchema, Route } from './route.ts';

/** OpenAPI 3.1 from the route table. */
export function openApi(routes: readonly Route[], version: string): unknown {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const route of routes) {
    const path = route.url.replace(/:(\w+)/g, '{$1}');
    paths[path] ??= {};
    paths[path][route.method.toLowerCase()] = operation(route);
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Streamline', version, license: { name: 'Apache-2.0' } },
    paths,
    components: { schemas: { Problem: PROBLEM } },
  };
}

function operation(route: Route) {
  return {
    summary: route.summary,
    parameters: [...parameters(route.params, 'path'), ...parameters(route.query, 'query')],
    ...(route.body ? { requestBody: { required: true, content: { 'application/json': { schema: route.body } } } } : {}),
    responses: {
      '200': {
        description: 'Success',
        content: Object.fromEntries(['application/json', ...(route.produces ?? [])].map((type) => [type, {}])),
      },
      default: {
        description: 'Failure',
        content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
      },
    },
  };
}

function parameters(schema: JsonSchema | undefined, where: 'path' | 'query') {
  const properties = (schema?.['properties'] ?? {}) as Record<string, JsonSchema>;
  const required = (schema?.['required'] ?? []) as string[];
  return Object.entries(properties).map(([name, one]) => ({
    name,
    in: where,
    required: where === 'path' || required.includes(name),
    schema: one,
  }));
}

const PROBLEM: JsonSchema = {
  type: 'object',
  required: ['code', 'status', 'detail'],
  properties: {
    type: { type: 'string' },
    title: { type: 'string' },
    status: { type: 'integer' },
    code: { type: 'string' },
    detail: { type: 'string' },
    position: { type: 'object', properties: { line: { type: 'integer' }, column: { type: 'integer' } } },
    hint: { type: 'string' },
  },
};

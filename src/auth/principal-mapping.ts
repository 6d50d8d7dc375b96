import { StreamError } from '../lib/errors.ts';

const RULE = /^(?:(DEFAULT)|RULE:((?:\\.|[^\\/])*)\/((?:\\.|[^\\/])*)\/([LU]?))(?:,\s*|$)/u;

/**
 * From the distinguished name of a client's certificate to the name of its principal, by Kafka's ssl.principal.mapping.rules: rules
 * `RULE:pattern/replacement/[L|U]` and `DEFAULT` (the name as it is), separated by commas; the first whose pattern matches the whole name
 * holds. OPTION_INVALID when they cannot be read. Undefined when none matches.
 */
export function principalMapping(rules: string): (distinguishedName: string) => string | undefined {
  const parsed: ((name: string) => string | undefined)[] = [];
  for (let rest = rules.trim(); rest !== ''; ) {
    const match = RULE.exec(rest);
    if (match === null) {
      throw new StreamError('OPTION_INVALID', `not a principal mapping rule: ${rest}`, {
        hint: 'RULE:^CN=(.*?),.*$/$1/L, DEFAULT',
      });
    }
    const [all, isDefault, pattern, replacement, letters] = match;
    parsed.push(isDefault === undefined ? rule(pattern!, replacement!, letters!) : (name) => name);
    rest = rest.slice(all.length);
  }
  return (name) => {
    for (const map of parsed) {
      const mapped = map(name);
      if (mapped !== undefined) return mapped;
    }
    return undefined;
  };
}

function rule(pattern: string, replacement: string, letters: string): (name: string) => string | undefined {
  let regex: RegExp;
  try {
    regex = new RegExp(`^(?:${pattern})$`, 'u');
  } catch (cause) {
    throw new StreamError('OPTION_INVALID', `not a regular expression: ${pattern}`, { cause });
  }
  return (name) => {
    if (!regex.test(name)) return undefined;
    const mapped = name.replace(regex, replacement.replaceAll('\\/', '/'));
    if (letters === 'L') return mapped.toLowerCase();
    return letters === 'U' ? mapped.toUpperCase() : mapped;
  };
}

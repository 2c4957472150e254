/** Which language a reader is answered in. */
import { languages, type Language } from '../provider';

/**
 * The language somebody named, or the first of ours that their browser asks for (RFC 9110, section 12.5.4); English
 * otherwise.
 *
 * @param accepted the header `Accept-Language`
 */
export function languageFor(named: Language | undefined, accepted = ''): Language {
  if (named !== undefined) return named;
  let best: { readonly language: Language; readonly weight: number } | undefined;
  for (const range of accepted.slice(0, 256).split(',')) {
    const [tag = '', ...parameters] = range.trim().toLowerCase().split(';');
    const primary = tag.trim().split('-')[0] ?? '';
    const language = primary === '*' ? languages[0] : languages.find((one) => one === primary);
    const quality = parameters.map((parameter) => /^\s*q=(\d(?:\.\d{1,3})?)\s*$/.exec(parameter)?.[1]);
    const weight = Number(quality.find((text) => text !== undefined) ?? 1);
    if (language !== undefined && weight > (best?.weight ?? 0)) best = { language, weight };
  }
  return best?.language ?? languages[0];
}

/** A browser made of `fetch`: keeps cookies, follows redirects one by one, submits forms. No script runs in it. */

/** A page it came to. */
export interface Page {
  readonly url: URL;
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** Where it was sent to, one after the other, until it came here. */
  readonly redirects: readonly URL[];
}

export interface Visit {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Does not follow redirects to places this does not hold for; the page is then the redirect itself. */
  readonly follow?: (url: URL) => boolean;
}

interface Cookie {
  readonly name: string;
  readonly value: string;
  readonly host: string;
  readonly path: string;
  readonly until: number;
  readonly attributes: string;
}

const mostRedirects = 20;

/** One browser, with cookies of its own. As in a real one, cookies do not tell a host's ports apart. */
export class Browser {
  private cookies: Cookie[] = [];

  /** @param language what it asks for pages in */
  constructor(private readonly language = 'en') {}

  /** The cookies it would send there, by name. */
  cookiesFor(url: URL | string): Map<string, string> {
    const { hostname, pathname } = new URL(url);
    const now = Date.now();
    const fitting = this.cookies.filter(
      ({ host, path, until }) => host === hostname && within(pathname, path) && until > now,
    );
    return new Map(fitting.map(({ name, value }) => [name, value]));
  }

  /** How a cookie was set: the whole header, or nothing where there is no such cookie. */
  howSet(name: string): string | undefined {
    return this.cookies.find((cookie) => cookie.name === name)?.attributes;
  }

  /** Puts a cookie in by hand. */
  setCookie(url: URL | string, name: string, value: string): void {
    this.keep(new URL(url), `${name}=${value}; Path=/`);
  }

  forgetCookies(): void {
    this.cookies = [];
  }

  /** Goes to a page, and on to where that sends it. */
  async visit(address: URL | string, { follow = () => true, ...first }: Visit = {}): Promise<Page> {
    let url = new URL(address);
    let visit: Visit = first;
    const redirects: URL[] = [];
    for (;;) {
      const response = await this.send(url, visit);
      const location = response.headers.get('location');
      const target = location === null ? undefined : new URL(location, url);
      const isRedirect = response.status >= 300 && response.status < 400 && target !== undefined;
      if (!isRedirect || !follow(target)) {
        if (isRedirect) redirects.push(target);
        return { url, status: response.status, headers: response.headers, text: await response.text(), redirects };
      }
      await response.body?.cancel();
      redirects.push(target);
      if (redirects.length > mostRedirects) throw new Error(`too many redirects: ${redirects.map(String).join(' ')}`);
      // 307 and 308 repeat the request; the others ask for the page.
      visit = response.status === 307 || response.status === 308 ? visit : {};
      url = target;
    }
  }

  /** Submits the form of a page that has `values`, the hidden fields it holds beside them. */
  submit(page: Page, values: Readonly<Record<string, string>> = {}, visit: Visit = {}): Promise<Page> {
    const [, attributes = '', content = ''] = /<form\b([^>]*)>([\s\S]*?)<\/form>/i.exec(page.text) ?? [];
    const action = attribute(attributes, 'action');
    if (action === undefined) throw new Error(`there is no form on ${page.url.href}: ${page.text.slice(0, 500)}`);
    const hidden = Array.from(content.matchAll(/<input\b([^>]*)>/gi), ([, text = '']) => text)
      .filter((text) => attribute(text, 'type') === 'hidden')
      .map((text): [string, string] => [attribute(text, 'name') ?? '', attribute(text, 'value') ?? '']);
    return this.visit(new URL(action, page.url), {
      method: 'POST',
      body: new URLSearchParams([...hidden, ...Object.entries(values)]).toString(),
      ...visit,
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        origin: page.url.origin,
        'sec-fetch-site': 'same-origin',
        ...visit.headers,
      },
    });
  }

  private async send(url: URL, { method = 'GET', headers = {}, body }: Visit): Promise<Response> {
    const cookies = Array.from(this.cookiesFor(url), ([name, value]) => `${name}=${value}`).join('; ');
    const response = await fetch(url, {
      method,
      redirect: 'manual',
      headers: {
        accept: 'text/html',
        'accept-language': this.language,
        ...(cookies === '' ? {} : { cookie: cookies }),
        ...headers,
      },
      ...(body === undefined ? {} : { body }),
    });
    for (const header of response.headers.getSetCookie()) this.keep(url, header);
    return response;
  }

  private keep(url: URL, header: string): void {
    const [pair = '', ...rest] = header.split(';').map((part) => part.trim());
    const at = pair.indexOf('=');
    const name = pair.slice(0, at);
    const attributes = new Map(
      rest.map((part): [string, string] => {
        const [key = '', value = ''] = part.split('=', 2);
        return [key.toLowerCase(), value];
      }),
    );
    // On this machine a real browser takes cookies for TLS only without TLS too, but not under the prefix.
    if (name.startsWith('__Host-') && (url.protocol !== 'https:' || !attributes.has('secure'))) return;
    const path = attributes.get('path') ?? '/';
    this.cookies = this.cookies.filter(
      (known) => known.name !== name || known.host !== url.hostname || known.path !== path,
    );
    const until = untilOf(attributes);
    if (until <= Date.now()) return;
    this.cookies.push({ name, value: pair.slice(at + 1), host: url.hostname, path, until, attributes: header });
  }
}

function untilOf(attributes: ReadonlyMap<string, string>): number {
  const age = attributes.get('max-age');
  if (age !== undefined) return Date.now() + Number(age) * 1000;
  const expires = attributes.get('expires');
  return expires === undefined ? Infinity : Date.parse(expires);
}

function within(path: string, prefix: string): boolean {
  return path === prefix || path.startsWith(prefix.endsWith('/') ? prefix : `${prefix}/`);
}

function attribute(text: string, name: string): string | undefined {
  const [, value] = new RegExp(`\\b${name}="([^"]*)"`, 'i').exec(text) ?? [];
  return value?.replaceAll('&quot;', '"').replaceAll('&#x3D;', '=').replaceAll('&amp;', '&');
}

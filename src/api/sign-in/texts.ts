/** What the pages around signing in say, in two languages. */
import type { Role } from '../../lifecycle';
import type { SignInFault } from '../../sso';

export const languages = ['en', 'de'] as const;
export type Language = (typeof languages)[number];

/** What happened, and what to do. */
interface Said {
  readonly what: string;
  readonly todo: string;
}

export interface Texts {
  readonly otherLanguage: string;
  readonly signIn: string;
  readonly signInWith: (provider: string) => string;
  readonly nobodySignsIn: string;
  readonly signedOut: string;
  readonly signedInAs: string;
  readonly nameless: string;
  readonly role: string;
  readonly roles: Readonly<Record<Role, string>>;
  readonly account: string;
  readonly provider: string;
  readonly endsAt: string;
  readonly sessions: string;
  readonly sessionsHint: string;
  readonly lastUsed: string;
  readonly address: string;
  readonly browser: string;
  readonly thisOne: string;
  readonly action: string;
  readonly end: string;
  readonly endNamed: (when: string) => string;
  readonly endOthers: string;
  readonly signOut: string;
  readonly failed: string;
  readonly tryAgain: string;
  readonly back: string;
  readonly reference: string;
  readonly faults: Readonly<Record<SignInFault, Said>>;
}

export const texts: Readonly<Record<Language, Texts>> = {
  en: {
    otherLanguage: 'Deutsch',
    signIn: 'Sign in',
    signInWith: (provider) => `Sign in with ${provider}`,
    nobodySignsIn:
      'No identity provider is set up here. Whoever runs this deployment can name some; until then, keys are the way in.',
    signedOut: 'You are signed out.',
    signedInAs: 'Signed in',
    nameless: 'Somebody whose name the provider does not say',
    role: 'Role',
    roles: {
      admin: 'Administrator',
      operator: 'Operator',
      auditor: 'Auditor',
      legal: 'Legal',
      gateway: 'Gateway',
      customer: 'Customer',
    },
    account: 'Account',
    provider: 'Signed in with',
    endsAt: 'Ends at the latest',
    sessions: 'Where you are signed in',
    sessionsHint: 'End any you do not know, and change your password with your provider.',
    lastUsed: 'Last used',
    address: 'Address',
    browser: 'Browser',
    thisOne: 'this one',
    action: 'Action',
    end: 'End',
    endNamed: (when) => `End the session last used ${when}`,
    endOthers: 'End all others',
    signOut: 'Sign out',
    failed: 'You are not signed in',
    tryAgain: 'Try again',
    back: 'Choose how to sign in',
    reference: 'Reference',
    faults: {
      'provider-away': {
        what: 'The identity provider cannot be reached, or does not answer as it should.',
        todo: 'Try again in a moment. If it goes on, tell whoever runs this deployment.',
      },
      denied: {
        what: 'The identity provider did not sign you in.',
        todo: 'Try again, and let it. If it says that this application is not for you, ask whoever looks after it in your organisation.',
      },
      state: {
        what: 'This sign-in was not begun in this browser, or more than ten minutes ago.',
        todo: 'Begin again, and see to it that your browser accepts cookies from this page.',
      },
      replayed: { what: 'This sign-in was completed before.', todo: 'If you are not signed in, begin again.' },
      token: {
        what: 'What came back from the identity provider cannot be believed.',
        todo: 'Begin again. If it goes on, tell whoever runs this deployment, with the reference below.',
      },
      organisation: {
        what: 'Your account belongs to no organisation that is let in here.',
        todo: 'Sign in with the account of your organisation.',
      },
      'no-role': {
        what: 'The identity provider knows you, but nothing gives you a role here.',
        todo: 'Ask whoever runs this deployment for access: it takes a group or a role with your identity provider.',
      },
      'no-account': {
        what: 'The account you belong to is not known here, or is being erased.',
        todo: 'Ask whoever looks after the account in your organisation.',
      },
      blocked: { what: 'You are blocked here.', todo: 'Ask whoever runs this deployment.' },
      'other-person': {
        what: 'You came back from the identity provider as somebody else than you are here.',
        todo: 'You are still signed in as before. Sign out first to become somebody else.',
      },
      'not-fresh': {
        what: 'The identity provider did not ask you to sign in again.',
        todo: 'Sign out there, and begin again.',
      },
    },
  },
  de: {
    otherLanguage: 'English',
    signIn: 'Anmelden',
    signInWith: (provider) => `Mit ${provider} anmelden`,
    nobodySignsIn:
      'Hier ist kein Identitätsanbieter eingerichtet. Wer diese Installation betreibt, kann welche angeben; bis dahin führen nur Schlüssel hinein.',
    signedOut: 'Sie sind abgemeldet.',
    signedInAs: 'Angemeldet',
    nameless: 'Jemand, dessen Namen der Anbieter nicht nennt',
    role: 'Rolle',
    roles: {
      admin: 'Administration',
      operator: 'Betrieb',
      auditor: 'Revision',
      legal: 'Recht',
      gateway: 'Gateway',
      customer: 'Kunde',
    },
    account: 'Konto',
    provider: 'Angemeldet mit',
    endsAt: 'Endet spätestens',
    sessions: 'Wo Sie angemeldet sind',
    sessionsHint: 'Beenden Sie, was Sie nicht kennen, und ändern Sie dann Ihr Passwort bei Ihrem Anbieter.',
    lastUsed: 'Zuletzt benutzt',
    address: 'Adresse',
    browser: 'Browser',
    thisOne: 'diese hier',
    action: 'Aktion',
    end: 'Beenden',
    endNamed: (when) => `Zuletzt ${when} benutzte Sitzung beenden`,
    endOthers: 'Alle anderen beenden',
    signOut: 'Abmelden',
    failed: 'Sie sind nicht angemeldet',
    tryAgain: 'Noch einmal versuchen',
    back: 'Anmeldung wählen',
    reference: 'Kennung',
    faults: {
      'provider-away': {
        what: 'Der Identitätsanbieter ist nicht zu erreichen oder antwortet nicht, wie er soll.',
        todo: 'Versuchen Sie es gleich noch einmal. Bleibt es dabei, sagen Sie es denen, die diese Installation betreiben.',
      },
      denied: {
        what: 'Der Identitätsanbieter hat Sie nicht angemeldet.',
        todo: 'Versuchen Sie es noch einmal und stimmen Sie dort zu. Heißt es, diese Anwendung sei nicht für Sie, fragen Sie in Ihrer Organisation nach.',
      },
      state: {
        what: 'Diese Anmeldung wurde nicht in diesem Browser begonnen oder vor mehr als zehn Minuten.',
        todo: 'Beginnen Sie noch einmal, und lassen Sie Cookies dieser Seite zu.',
      },
      replayed: {
        what: 'Diese Anmeldung wurde schon abgeschlossen.',
        todo: 'Sind Sie nicht angemeldet, beginnen Sie noch einmal.',
      },
      token: {
        what: 'Was vom Identitätsanbieter zurückkam, ist nicht glaubhaft.',
        todo: 'Beginnen Sie noch einmal. Bleibt es dabei, nennen Sie denen, die diese Installation betreiben, die Kennung unten.',
      },
      organisation: {
        what: 'Ihr Konto gehört zu keiner Organisation, die hier Zugang hat.',
        todo: 'Melden Sie sich mit dem Konto Ihrer Organisation an.',
      },
      'no-role': {
        what: 'Der Identitätsanbieter kennt Sie, aber nichts gibt Ihnen hier eine Rolle.',
        todo: 'Bitten Sie die, die diese Installation betreiben, um Zugang: Er hängt an einer Gruppe oder Rolle bei Ihrem Identitätsanbieter.',
      },
      'no-account': {
        what: 'Das Konto, zu dem Sie gehören, ist hier nicht bekannt oder wird gelöscht.',
        todo: 'Fragen Sie die, die das Konto in Ihrer Organisation betreuen.',
      },
      blocked: { what: 'Sie sind hier gesperrt.', todo: 'Fragen Sie die, die diese Installation betreiben.' },
      'other-person': {
        what: 'Sie kamen vom Identitätsanbieter als jemand anderes zurück, als Sie hier sind.',
        todo: 'Sie sind angemeldet wie zuvor. Melden Sie sich erst ab, um jemand anderes zu sein.',
      },
      'not-fresh': {
        what: 'Der Identitätsanbieter hat Sie nicht noch einmal nach Ihrer Anmeldung gefragt.',
        todo: 'Melden Sie sich dort ab, und beginnen Sie noch einmal.',
      },
    },
  },
};

// What a channel's kinds are told by their forms.

import { fieldsOf, type Field } from "../parts/schema/fields";

interface Kind {
  label: string;
  about: string;
  fields: Field[];
  /** Always in sight; the others are below *More settings*. */
  main: string[];
  secret: string;
  secretAbout: string;
}

const CA = { type: "string", title: "Trusted certificates", description: "As PEM, besides those of the server's system." };

export const KINDS: Record<string, Kind> = {
  smtp: {
    label: "Mail",
    about: "Writes to people through your mail server.",
    fields: fieldsOf({
      required: ["host", "from", "to"],
      properties: {
        host: { type: "string", title: "Mail server", description: "Its name or address." },
        port: { type: "integer", title: "Port", description: "587 with `starttls`, 465 with `tls` and 25 with `none`, where nothing is set." },
        tls: {
          title: "Encryption",
          default: "starttls",
          oneOf: [
            { const: "starttls", description: "Begins in the clear and must then be encrypted, before anything is said." },
            { const: "tls", description: "Encrypted from the start." },
            { const: "none", description: "Not at all; no login is sent this way." },
          ],
        },
        user: { type: "string", title: "User", description: "Who logs in; nobody where it is empty." },
        from: { type: "string", title: "From", description: "Such as `Sallyport <sallyport@example.org>`." },
        to: { type: "array", items: { type: "string" }, title: "To", description: "1 to 50 receivers." },
        ca: CA,
      },
    }),
    main: ["tls", "user"],
    secret: "password",
    secretAbout: "Of the user. Encrypted on this server and never shown.",
  },
  webhook: {
    label: "Webhook",
    about: "Posts JSON to a program: a chat, a pager, your own.",
    fields: fieldsOf({
      required: ["url"],
      properties: { url: { type: "string", title: "Address", description: "`https://` or `http://`; it gets a POST for each notice." }, ca: CA },
    }),
    main: [],
    secret: "secret",
    secretAbout: "Signs each request, so that the receiver knows who sent it. Encrypted on this server and never shown.",
  },
};

/** A channel's kind in a word. */
export const kindWord = (kind: string) => KINDS[kind]?.label ?? kind;

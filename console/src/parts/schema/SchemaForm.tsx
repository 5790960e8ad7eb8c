// A form made from a JSON Schema. What is set stands in the document; what is left empty is left out of it.

import { ActionIcon, Button, Collapse, Fieldset, Group, Select, SimpleGrid, Stack, Switch, TagsInput, Text, Tooltip } from "@mantine/core";
import { IconChevronDown, IconChevronRight, IconPlus, IconTrash } from "@tabler/icons-react";
import { useState, type ReactNode } from "react";
import { parse, stringify } from "yaml";
import type { FieldProblem } from "../../api/types";
import type { Field } from "./fields";
import { pointer, wrongAt, wrongWithin } from "./problems";
import { Typed } from "./Typed";
import { Words } from "./Words";

export type Path = (string | number)[];

interface Props {
  fields: Field[];
  value: Record<string, unknown>;
  /** Where the fields stand in the document; their problems are found by it. */
  at: Path;
  problems: FieldProblem[];
  /** Sets a field, or removes it. */
  onChange: (path: Path, value: unknown) => void;
  /** Fields that are always in sight; the others are until one of them is set. */
  main?: (field: Field) => boolean;
}

export function SchemaForm({ fields, main = always, ...rest }: Props) {
  const seen = (field: Field) =>
    field.required || main(field) || rest.value[field.name] !== undefined || wrongWithin(rest.problems, pointer([...rest.at, field.name])) !== undefined;
  // A field does not move away while somebody works on it.
  const [kept, setKept] = useState<string[]>(() => fields.filter(seen).map((field) => field.name));
  const late = fields.filter((field) => seen(field) && !kept.includes(field.name)).map((field) => field.name);
  const [more, setMore] = useState(false);
  if (late.length > 0 && !more) setKept([...kept, ...late]);
  const first = fields.filter((field) => kept.includes(field.name));
  const others = fields.filter((field) => !kept.includes(field.name));
  return (
    <Stack gap="sm">
      {first.map((field) => (
        <OneField key={field.name} field={field} {...rest} />
      ))}
      {others.length > 0 && (
        <div>
          <Button variant="subtle" size="compact-sm" leftSection={more ? <IconChevronDown size={16} /> : <IconChevronRight size={16} />} aria-expanded={more} onClick={() => setMore(!more)}>
            More settings ({others.length})
          </Button>
          <Collapse expanded={more}>
            <Stack gap="sm" pt="xs">
              {others.map((field) => (
                <OneField key={field.name} field={field} {...rest} />
              ))}
            </Stack>
          </Collapse>
        </div>
      )}
    </Stack>
  );
}

const always = () => true;

type One = Omit<Props, "fields" | "main"> & { field: Field };

function OneField({ field, value: whole, at, problems, onChange }: One) {
  const { name, title, required, kind } = field;
  const path = [...at, name];
  const value = whole[name];
  const set = (next: unknown) => onChange(path, next);
  const exact = worded(wrongAt(problems, pointer(path)));
  const within = worded(wrongWithin(problems, pointer(path)));
  const about = {
    label: title,
    required,
    description: field.description === "" ? undefined : <Words text={field.description} />,
    placeholder: field.fallback === undefined || field.fallback === "" ? undefined : flat(field.fallback),
  };
  // An expression stands where its value will.
  if (typeof value === "string" && value.includes("{{") && ["number", "switch", "choice", "words"].includes(kind)) {
    return <Typed {...about} error={within} value={value} read={(text) => text || undefined} show={String} onChange={set} />;
  }
  switch (kind) {
    case "number":
      return <Typed<unknown> {...about} inputMode="numeric" error={within} value={value} read={number} show={flat} onChange={set} />;
    case "switch": {
      const on = typeof value === "boolean" ? value : field.fallback === true;
      const next = !on;
      return (
        <Switch
          label={title}
          description={about.description}
          error={within}
          checked={on}
          // What is meant anyway is left out.
          onChange={() => set(next === (field.fallback === true) ? undefined : next)}
        />
      );
    }
    case "choice":
      return (
        <Select
          {...about}
          error={within}
          data={field.choices.map((choice) => choice.value)}
          renderOption={({ option }) => (
            <div>
              <Text size="sm">{option.value}</Text>
              <Text size="xs" c="dimmed">
                <Words text={field.choices.find((choice) => choice.value === option.value)?.description ?? ""} />
              </Text>
            </div>
          )}
          clearable={!required}
          clearButtonProps={{ "aria-label": `Clear ${title}` }}
          value={typeof value === "string" ? value : null}
          onChange={(next) => set(next ?? undefined)}
        />
      );
    case "words":
      return (
        <TagsInput
          {...about}
          placeholder={Array.isArray(value) && value.length > 0 ? undefined : "Type, then Enter"}
          error={within}
          value={Array.isArray(value) ? value.map(String) : []}
          onChange={(next) => set(next.length > 0 ? next : undefined)}
          acceptValueOnBlur
        />
      );
    case "group":
      return <Nested field={field} value={value} at={path} problems={problems} error={exact} onChange={onChange} />;
    case "rows":
      return <Rows field={field} value={value} at={path} problems={problems} error={exact} onChange={onChange} />;
    case "any":
      return <Typed<unknown> {...about} lines error={within} value={value} read={yaml} show={(shown) => (typeof shown === "string" ? shown : stringify(shown).trimEnd())} onChange={set} />;
    default:
      return <Typed<unknown> {...about} lines={kind === "code"} error={within} value={value} read={field.numeric ? number : (text) => text || undefined} show={flat} onChange={set} />;
  }
}

interface Inner extends Omit<Props, "fields" | "value" | "main"> {
  field: Field;
  value: unknown;
  error: ReactNode;
}

/** An object that may be absent. */
function Nested({ field, value, at, problems, error, onChange }: Inner) {
  const on = isObject(value);
  return (
    <Fieldset legend={field.title} p="sm">
      <Stack gap="sm">
        <Switch
          label={field.required ? field.title : `Set ${field.title.toLowerCase()}`}
          description={<Words text={field.description} />}
          error={error}
          checked={on}
          onChange={() => onChange(at, on ? undefined : {})}
        />
        {on && <SchemaForm fields={field.fields} value={value} at={at} problems={problems} onChange={onChange} />}
      </Stack>
    </Fieldset>
  );
}

/** A list of objects. */
function Rows({ field, value, at, problems, error, onChange }: Inner) {
  const rows = Array.isArray(value) ? value : [];
  const without = (gone: number) => rows.filter((_, at) => at !== gone);
  return (
    <Fieldset legend={field.title} p="sm">
      <Stack gap="sm">
        <Text size="xs" c="dimmed">
          <Words text={field.description} />
        </Text>
        {error && (
          <Text size="xs" c="red">
            {error}
          </Text>
        )}
        {rows.map((row, index) => (
          <Group key={index} align="flex-start" wrap="nowrap" gap="xs">
            <SimpleGrid cols={2} flex={1} spacing="xs">
              {field.fields.map((inner) => (
                <OneField key={inner.name} field={{ ...inner, description: "" }} value={isObject(row) ? row : {}} at={[...at, index]} problems={problems} onChange={onChange} />
              ))}
            </SimpleGrid>
            <Tooltip label="Remove">
              <ActionIcon mt={26} variant="subtle" color="gray" aria-label={`Remove ${field.title} ${index + 1}`} onClick={() => onChange(at, rows.length > 1 ? without(index) : undefined)}>
                <IconTrash size={16} />
              </ActionIcon>
            </Tooltip>
          </Group>
        ))}
        <Group>
          <Button size="compact-sm" variant="default" leftSection={<IconPlus size={14} />} onClick={() => onChange(at, [...rows, {}])}>
            Add
          </Button>
        </Group>
      </Stack>
    </Fieldset>
  );
}

const worded = (text: string | undefined) => (text === undefined ? undefined : <Words text={text} />);

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);

const flat = (value: unknown) => (typeof value === "string" ? value : JSON.stringify(value));

/** A number where the text is one, else the text, which the server will refuse by name. */
function number(text: string): unknown {
  const trimmed = text.trim();
  if (trimmed === "") return undefined;
  return /^-?\d+(\.\d+)?$/.test(trimmed) && String(Number(trimmed)) === trimmed ? Number(trimmed) : text;
}

function yaml(text: string): unknown {
  if (text.trim() === "") return undefined;
  try {
    return parse(text) as unknown;
  } catch {
    // Said by the server: it is no object.
    return text;
  }
}

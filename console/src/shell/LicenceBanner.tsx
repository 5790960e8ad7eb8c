import { Alert } from "@mantine/core";
import { IconLicense } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { licenceQuery } from "../api/queries";
import { words } from "../parts/format";
import { Time } from "../parts/Time";

/** Only agents that were turned away lately are worth a banner, in milliseconds. */
const LATELY_MS = 24 * 3600 * 1000;

/** Says that the licence's maximum keeps an agent out. */
export function LicenceBanner() {
  const licence = useQuery(licenceQuery).data;
  if (!licence?.agents_max || licence.agents_online < licence.agents_max) return null;
  const refused = licence.refused_agents.find((agent) => Date.now() - Date.parse(agent.last_at) < LATELY_MS);
  if (!refused) return null;
  return (
    <Alert color="yellow" icon={<IconLicense />} mb="md" title={`${words(licence.tier)} licence: all ${licence.agents_max} agents in use`}>
      Agent {refused.agent} was turned away <Time at={refused.last_at} />. Stop another agent, or ask the operator for a larger
      licence.
    </Alert>
  );
}

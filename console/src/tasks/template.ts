/** A new task begins with this. */
export const TEMPLATE = `task: my-task
steps: []
`;

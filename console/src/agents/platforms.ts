/** What a download can be made for. */
export const PLATFORMS = [
  { value: "linux-x86_64", label: "Linux, 64-bit Intel or AMD" },
  { value: "linux-aarch64", label: "Linux, 64-bit ARM" },
  { value: "windows-x86_64", label: "Windows, 64-bit" },
  { value: "macos-aarch64", label: "macOS, Apple silicon" },
];

/** What to type where the zip lies. */
export function startCommands(name: string, platform: string | null | undefined): string {
  const zip = `Sallyport.Agent.${name}.zip`;
  if (platform?.startsWith("windows")) {
    return `Expand-Archive "${zip}" -DestinationPath "${name}"\ncd "${name}"\n.\\start.bat`;
  }
  return `unzip "${zip}" -d "${name}"\ncd "${name}"\nsh start.sh`;
}

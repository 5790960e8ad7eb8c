import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// `SALLYPORT_SERVER` names the server that `npm run dev` works against.
const server = process.env.SALLYPORT_SERVER ?? "https://localhost:8443";

// To the server a request then comes from its own page.
const proxied = { target: server, secure: false, changeOrigin: true, headers: { origin: server } };

export default defineConfig({
  plugins: [react()],
  build: {
    outDir: process.env.CONSOLE_OUT ?? "dist",
    emptyOutDir: true,
    // A data: font or script would need a weaker policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // The first ones that know `light-dark()`, which a rewrite for older ones breaks.
    target: ["chrome123", "firefox120", "safari17.5"],
    chunkSizeWarningLimit: 1500,
  },
  server: { proxy: Object.fromEntries(["/api", "/setup", "/metrics", "/readyz", "/livez"].map((path) => [path, proxied])) },
});

import { Anchor, Badge, createTheme, Modal, Notification, Tooltip } from "@mantine/core";

export const theme = createTheme({
  primaryColor: "cyan",
  primaryShade: 9,
  autoContrast: true,
  defaultRadius: "md",
  fontFamily: "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif",
  fontFamilyMonospace: "ui-monospace, 'Cascadia Mono', Menlo, 'DejaVu Sans Mono', 'Liberation Mono', monospace",
  cursorType: "pointer",
  respectReducedMotion: true,
  components: {
    // A state that is cut off says nothing.
    Badge: Badge.extend({ defaultProps: { miw: "max-content" } }),
    Modal: Modal.extend({ defaultProps: { closeButtonProps: { "aria-label": "Close" } } }),
    Notification: Notification.extend({ defaultProps: { closeButtonProps: { "aria-label": "Close" } } }),
    Tooltip: Tooltip.extend({ defaultProps: { withArrow: true, openDelay: 200, events: { hover: true, focus: true, touch: true } } }),
    Anchor: Anchor.extend({ defaultProps: { underline: "hover" } }),
  },
});

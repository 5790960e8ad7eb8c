//! The `file` connector.

use sallyport_dataplane::Cancel;
use sallyport_protocol::{ConnectionOrder, ConnectionTest, Descriptor};
use serde_json::Value;

use crate::{Error, Sink, Site, Source};

/// The catalogue's entry.
pub fn descriptor() -> Descriptor {
    unimplemented!()
}
pub(crate) fn source(_connection: Option<&ConnectionOrder>, _settings: &Value) -> Result<Box<dyn Source>, Error> {
    unimplemented!()
}
pub(crate) fn sink(_connection: Option<&ConnectionOrder>, _settings: &Value) -> Result<Box<dyn Sink>, Error> {
    unimplemented!()
}
pub(crate) fn test(_connection: &ConnectionOrder, _site: &Site) -> ConnectionTest {
    unimplemented!()
}

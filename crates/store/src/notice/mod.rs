//! Notices: the channels that people set up, and what is on its way through them.

mod channel;
mod queue;

pub use channel::{Channel, ChannelEdit, NewChannel};
pub use queue::{Notice, NoticeFilter, NoticeState, ParseNoticeStateError, WAITING_MAX};

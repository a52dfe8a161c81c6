//! Each fault by a message that has it, and none by those that have none.

use super::*;

/// Faults of a message of a judge.
macro_rules! faults {
    ($judge:expr, $message:expr) => {{
        let message = $message;
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        $judge
            .message(message.kind(), &bytes[MINI_HEADER_LEN..], Instant::now())
            .faults
    }};
}

/// Holds a judge's word on one message against what it should be.
macro_rules! judged {
    ($judge:expr, $message:expr, $($fault:tt)*) => {{
        let faults = faults!($judge, $message);
        assert!(matches!(&faults[..], $($fault)*), "{faults:?}");
    }};
}

fn judge(channel: ChannelType) -> Judge {
    Judge::new(channel, Capabilities::from_words([0x6fbf]))
}

mod channels;
mod displays;

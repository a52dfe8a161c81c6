//! The guest's pointer. The newest wins: a slow client misses what lies between.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;

use super::Shared;
use super::channel::{self, Channel, Ended};
use super::pace::Pace;
use crate::stream::{Cursor, CursorOutlet, CursorShape};
use crate::wire::base::BaseClientMessage;
use crate::wire::cursor::{
    self, CursorHeader, CursorServerMessage, CursorType, Point16, SHAPE_SIDE_MAX,
};

/// What a client may send per second: it has nothing to say here.
const MESSAGES_PER_SECOND: u32 = 100;

struct Newest(watch::Sender<Cursor>);

impl CursorOutlet for Newest {
    fn cursor(&self, cursor: &Cursor) {
        self.0.send_if_modified(|newest| {
            let changed = newest != cursor;
            if changed {
                newest.clone_from(cursor);
            }
            changed
        });
    }
}

pub(super) async fn run(channel: Channel<'_>) -> Ended {
    let Channel {
        incoming,
        outflow,
        claim,
        server,
        ..
    } = channel;
    let (sender, mut newest) = watch::channel(Cursor::default());
    let outlet: Arc<dyn CursorOutlet> = Arc::new(Newest(sender));
    if let Some(console) = server.consoles.get(usize::from(claim.channel.id)) {
        console.screen.watch_cursor(&outlet);
    }
    let mut out = Vec::new();
    let mut sent = newest.borrow_and_update().clone();
    CursorServerMessage::Init {
        position: point(&sent),
        trail_length: 0,
        trail_frequency: 0,
        visible: sent.visible,
        shape: shape(sent.shape.as_ref()),
    }
    .encode(&mut out);
    let mut pace = Pace::new(MESSAGES_PER_SECOND, Instant::now());
    loop {
        if !out.is_empty() {
            outflow.send(&out).await?;
            out.clear();
        }
        tokio::select! {
            message = incoming.message() => {
                let (kind, body) = message?;
                skip(kind, body, server)?;
                pace.wait(1).await;
            }
            // The sender is `outlet`, which lives here.
            _ = newest.changed() => {
                let now = newest.borrow_and_update().clone();
                update(&sent, &now, &mut out);
                sent = now;
            }
        }
    }
}

fn skip(kind: u16, body: &[u8], server: &Shared) -> Result<(), channel::End> {
    channel::base(&BaseClientMessage::decode(kind, body)?, server)
}

/// What turns `before` into `now` for a client.
fn update(before: &Cursor, now: &Cursor, out: &mut Vec<u8>) {
    if !now.visible {
        if before.visible {
            CursorServerMessage::Hide.encode(out);
        }
    } else if before.shape != now.shape || !before.visible {
        CursorServerMessage::Set {
            position: point(now),
            visible: true,
            shape: shape(now.shape.as_ref()),
        }
        .encode(out);
    } else if before.position != now.position {
        CursorServerMessage::Move(point(now)).encode(out);
    }
}

fn point(cursor: &Cursor) -> Point16 {
    let clamp = |v: i32| v.clamp(i16::MIN.into(), i16::MAX.into()) as i16;
    let (x, y) = cursor.position;
    Point16 {
        x: clamp(x),
        y: clamp(y),
    }
}

/// A shape that a client can take; no other is sent.
fn shape(shape: Option<&CursorShape>) -> cursor::CursorShape<'_> {
    let side = |n: u32| u16::try_from(n).ok().filter(|n| *n <= SHAPE_SIDE_MAX);
    let fitting = shape.and_then(|shape| {
        let (width, height) = (side(shape.size.width)?, side(shape.size.height)?);
        let len = CursorType::Alpha.data_len(width, height);
        (shape.bgra.len() == len && len > 0).then_some(cursor::CursorShape::Shape {
            header: CursorHeader {
                unique: 0,
                cursor_type: CursorType::Alpha,
                width,
                height,
                hot_spot_x: shape.hot.0,
                hot_spot_y: shape.hot.1,
            },
            cache: false,
            data: &shape.bgra,
        })
    });
    if let (Some(shape), None) = (shape, &fitting) {
        let (size, bytes) = (shape.size, shape.bgra.len());
        tracing::warn!(?size, bytes, "a pointer's picture that cannot be sent");
    }
    fitting.unwrap_or(cursor::CursorShape::None)
}

#[cfg(test)]
mod tests {
    use scanout_core::geometry::Size;

    use super::*;

    fn cursor(side: u32, bytes: usize, position: (i32, i32), visible: bool) -> Cursor {
        Cursor {
            shape: Some(CursorShape {
                size: Size::new(side, side),
                hot: (1, 2),
                bgra: vec![7; bytes].into(),
            }),
            position,
            visible,
        }
    }

    fn kinds(before: &Cursor, now: &Cursor) -> Vec<u16> {
        let mut out = Vec::new();
        update(before, now, &mut out);
        let kind = out.first_chunk().map(|bytes| u16::from_le_bytes(*bytes));
        kind.into_iter().collect()
    }

    #[test]
    fn only_what_has_changed_is_sent() {
        use cursor::kind::{HIDE, MOVE, SET};
        let arrow = cursor(2, 16, (5, 5), true);
        let moved = Cursor {
            position: (6, 5),
            ..arrow.clone()
        };
        let hidden = Cursor {
            visible: false,
            ..arrow.clone()
        };
        let other = cursor(1, 4, (5, 5), true);
        assert_eq!(kinds(&arrow, &arrow), []);
        assert_eq!(kinds(&arrow, &moved), [MOVE]);
        assert_eq!(kinds(&arrow, &other), [SET]);
        assert_eq!(kinds(&arrow, &hidden), [HIDE]);
        assert_eq!(kinds(&hidden, &hidden), []);
        // Its place and shape may have changed while it was hidden.
        assert_eq!(kinds(&hidden, &moved), [SET]);
    }

    #[test]
    fn a_shape_that_is_not_what_it_says_is_not_sent() {
        for bad in [
            cursor(2, 15, (0, 0), true),
            cursor(0, 0, (0, 0), true),
            cursor(513, 513 * 513 * 4, (0, 0), true),
            cursor(65_537, 4, (0, 0), true),
        ] {
            assert_eq!(shape(bad.shape.as_ref()), cursor::CursorShape::None);
        }
        let far = cursor(1, 4, (i32::MAX, i32::MIN), true);
        assert_eq!(
            point(&far),
            Point16 {
                x: i16::MAX,
                y: i16::MIN
            }
        );
    }
}

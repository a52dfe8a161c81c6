use scanout_core::geometry::Damage;

use super::check::Checker;
use super::objects::Objects;
use super::{Event, EventKind, RecordingError, Scanout};

/// Applies events, and holds what is shown: the scanout as it was described and
/// the bytes of its objects.
///
/// ```
/// # use std::time::Duration;
/// # use scanout_core::{buffer::{Layout, View}, format::Fourcc, geometry::{Damage, Size}};
/// # use scanout_trace::recording::*;
/// # let size = Size::new(4, 2);
/// # let (layout, bytes) = Layout::packed(Fourcc::XRGB8888, size, 64).ok_or("too large")?;
/// # let pixels = vec![7; bytes as usize];
/// # let scanout = Scanout {
/// #     delivery: Delivery::DmaBuf,
/// #     layout,
/// #     view: View::of(size),
/// #     objects: vec![Object { id: 1, size: bytes, exporter: Some("udmabuf".into()) }],
/// #     patches: Scanout::capture(&[&pixels]),
/// # };
/// # let mut writer = RecordingWriter::new(Vec::new(), "a test")?;
/// # writer.write(&Event::new(Duration::ZERO, EventKind::Scanout(scanout)))?;
/// # let file = writer.finish(Duration::from_secs(1))?;
/// let mut reader = RecordingReader::new(&file[..])?;
/// let mut player = Player::new();
/// while let Some(event) = reader.next_event()? {
///     let damage = player.apply(&event)?;
///     if let Some(scanout) = player.scanout() {
///         // Allocate objects of these sizes, fill them, import them with `scanout.layout`.
///         assert_eq!(player.object(0), Some(&pixels[..]));
///         assert_eq!(damage, Damage::full(scanout.view.content.size()));
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Player {
    checker: Checker,
    objects: Objects,
    scanout: Option<Scanout>,
}

impl Player {
    /// Nothing is shown yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Applies the next event. What it changed of the picture, top-down: all of
    /// it for a scanout, nothing where nothing is shown or only the pointer
    /// moved. An event that is refused changes nothing.
    pub fn apply(&mut self, event: &Event) -> Result<Damage, RecordingError> {
        self.checker.accept(event)?;
        match &event.kind {
            EventKind::Scanout(scanout) => {
                self.objects.show(&scanout.objects);
                for patch in &scanout.patches {
                    self.objects.apply(patch);
                }
                self.scanout = Some(Scanout {
                    objects: scanout.objects.clone(),
                    layout: scanout.layout.clone(),
                    patches: Vec::new(),
                    ..*scanout
                });
                Ok(Damage::full(scanout.view.content.size()))
            }
            EventKind::Update(update) => {
                for patch in &update.patches {
                    self.objects.apply(patch);
                }
                Ok(Damage::from(update.rect))
            }
            EventKind::Disable => {
                self.objects.hide();
                self.scanout = None;
                Ok(Damage::none())
            }
            EventKind::CursorDefine(_) | EventKind::MouseSet(_) => Ok(Damage::none()),
        }
    }

    /// What is shown, without its patches.
    pub fn scanout(&self) -> Option<&Scanout> {
        self.scanout.as_ref()
    }

    /// All bytes of an object of what is shown, as planes number them.
    pub fn object(&self, object: u8) -> Option<&[u8]> {
        self.objects.bytes(object)
    }

    /// All bytes of all objects of what is shown.
    pub fn objects(&self) -> impl Iterator<Item = &[u8]> {
        (0..=u8::MAX).map_while(|object| self.object(object))
    }
}

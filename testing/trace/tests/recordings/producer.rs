//! A display producer that does as it likes, with its memory beside the events:
//! the model that recordings are held against. It finds each byte by itself.

use std::collections::BTreeMap;
use std::time::Duration;

use scanout_core::buffer::{Layout, Orientation, Plane, View};
use scanout_core::format::{Fourcc, Modifier};
use scanout_core::geometry::{Rect, Size};
use scanout_trace::recording::{
    CursorShape, Delivery, Event, EventKind, MouseSet, Object, Scanout, Update,
};

pub(crate) const INTEL_4_TILED: Modifier = Modifier(0x0100_0000_0000_0009);

/// What is shown after an event: the scanout and the bytes of its objects.
pub(crate) type State = Option<(Scanout, Vec<Vec<u8>>)>;

pub(crate) struct Producer {
    memory: BTreeMap<u32, Vec<u8>>,
    shown: Option<Scanout>,
    time: Duration,
    seed: u64,
    pub(crate) events: Vec<Event>,
    /// What is shown after each event.
    pub(crate) states: Vec<State>,
}

impl Producer {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            memory: BTreeMap::new(),
            shown: None,
            time: Duration::ZERO,
            seed: seed | 1,
            events: Vec::new(),
            states: Vec::new(),
        }
    }

    /// A producer that did `steps` things.
    pub(crate) fn after(seed: u64, steps: usize) -> Self {
        let mut producer = Self::new(seed);
        for _ in 0..steps {
            producer.step();
        }
        producer
    }

    /// A number below `bound`.
    fn below(&mut self, bound: u32) -> u32 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        ((self.seed >> 32) % u64::from(bound)) as u32
    }

    fn step(&mut self) {
        let pause = self.below(40);
        match self.below(12) {
            0 | 1 => {
                let tiled = self.below(5) == 0;
                self.scanout(pause, tiled);
            }
            2 => {
                self.shown = None;
                self.push(pause, EventKind::Disable);
            }
            3 => {
                let mouse = MouseSet {
                    x: self.below(99) as i32 - 9,
                    y: self.below(99) as i32 - 9,
                    visible: self.below(2) == 1,
                };
                self.push(pause, EventKind::MouseSet(mouse));
            }
            4 => {
                let size = Size::new(1 + self.below(4), 1 + self.below(4));
                let argb = (0..size.area() * 4)
                    .map(|_| self.below(256) as u8)
                    .collect();
                let (hot_x, hot_y) = (self.below(9) as i32 - 4, 0);
                let cursor = CursorShape {
                    size,
                    hot_x,
                    hot_y,
                    argb,
                };
                self.push(pause, EventKind::CursorDefine(cursor));
            }
            _ => self.update(pause),
        }
    }

    fn scanout(&mut self, pause: u32, tiled: bool) {
        let content = [Size::new(16, 8), Size::new(21, 11), Size::new(34, 18)];
        let content = content[self.below(3) as usize];
        let two_planes = content.width != 21 && self.below(3) == 0;
        // Two buffers of each kind, flipped between, and one in two objects.
        let id = content.width * 10 + u32::from(two_planes) * 4 + self.below(2);
        let (dx, dy) = (2 * self.below(3), 2 * self.below(2));
        let size = Size::new(content.width + dx + 3, content.height + dy + 1);
        let (fourcc, planes, ids) = if two_planes {
            let luma = size.width + 1 + self.below(9);
            let chroma = size.width + 2 + 2 * self.below(3);
            let chroma = chroma.next_multiple_of(2);
            let planes = vec![
                Plane {
                    object: 0,
                    offset: self.below(50),
                    stride: luma,
                },
                Plane {
                    object: 1,
                    offset: 2 * self.below(30),
                    stride: chroma,
                },
            ];
            (Fourcc::NV12, planes, vec![id, id + 2])
        } else {
            let (stride, offset) = (size.width * 4 + 4 * self.below(3), 4 * self.below(5));
            let plane = Plane {
                object: 0,
                offset,
                stride,
            };
            (Fourcc::XRGB8888, vec![plane], vec![id])
        };
        let objects: Vec<Object> = ids
            .iter()
            .map(|&id| Object {
                id,
                // Enough for the largest of strides.
                size: u64::from(size.height * (size.width * 4 + 12) + 64 + id % 2 * 5000),
                exporter: (id % 3 > 0).then(|| format!("exporter {id}")),
            })
            .collect();
        for object in &objects {
            // Memory that is there stays; another size is other memory.
            let memory = self.memory.entry(object.id).or_default();
            if memory.len() as u64 != object.size {
                *memory = vec![0; object.size as usize];
            }
        }
        let layout = Layout {
            fourcc,
            modifier: if tiled {
                INTEL_4_TILED
            } else {
                Modifier::LINEAR
            },
            size,
            planes: planes.into_iter().collect(),
        };
        let orientation = match self.below(2) {
            0 => Orientation::TopDown,
            _ => Orientation::BottomUp,
        };
        let view = View {
            content: Rect::new(dx, dy, content.width, content.height),
            orientation,
        };
        for object in &objects {
            for _ in 0..self.below(300) {
                let (at, value) = (self.below(object.size as u32), self.below(256));
                self.memory.get_mut(&object.id).unwrap()[at as usize] = value as u8;
            }
        }
        let mut scanout = Scanout {
            delivery: [Delivery::DmaBuf, Delivery::Map, Delivery::Inline][self.below(3) as usize],
            layout,
            view,
            objects,
            patches: Vec::new(),
        };
        self.shown = Some(scanout.clone());
        let bytes = self.bytes(&scanout);
        let bytes: Vec<&[u8]> = bytes.iter().map(Vec::as_slice).collect();
        scanout.patches = Scanout::capture(&bytes);
        self.push(pause, EventKind::Scanout(scanout));
    }

    /// Draws into a rectangle, and says so.
    fn update(&mut self, pause: u32) {
        let Some(scanout) = self.shown.clone() else {
            return;
        };
        let size = scanout.view.content.size();
        let (x, y) = (self.below(size.width), self.below(size.height));
        let (width, height) = (
            self.below(size.width - x + 1),
            self.below(size.height - y + 1),
        );
        let rect = Rect::new(x, y, width, height);
        let dense = 1 + self.below(3);
        if scanout.layout.modifier.is_linear() {
            for (plane, n) in scanout.layout.planes.iter().zip(0..) {
                for (_, at, block) in pixels_of(&scanout, n, rect) {
                    for byte in 0..block {
                        if self.below(dense) == 0 {
                            let value = self.below(256) as u8;
                            let id = scanout.objects[usize::from(plane.object)].id;
                            self.memory.get_mut(&id).unwrap()[at + byte] = value;
                        }
                    }
                }
            }
        } else if !rect.is_empty() {
            // Who knows where the pixels lie.
            let object = scanout.objects[0].clone();
            let at = self.below(object.size as u32) as usize;
            self.memory.get_mut(&object.id).unwrap()[at] ^= 0x55;
        }
        let bytes = self.bytes(&scanout);
        let bytes: Vec<&[u8]> = bytes.iter().map(Vec::as_slice).collect();
        let patches = scanout.capture_rect(rect, false, &bytes).unwrap();
        self.push(pause, EventKind::Update(Update { rect, patches }));
        let reply = Duration::from_micros(self.below(5000).into());
        self.events.last_mut().unwrap().reply = (dense > 1).then_some(reply);
    }

    fn bytes(&self, scanout: &Scanout) -> Vec<Vec<u8>> {
        let objects = scanout.objects.iter();
        objects
            .map(|object| self.memory[&object.id].clone())
            .collect()
    }

    fn push(&mut self, pause: u32, kind: EventKind) {
        self.time += Duration::from_millis(pause.into());
        self.events.push(Event::new(self.time, kind));
        let state = self.shown.clone().map(|shown| {
            let bytes = self.bytes(&shown);
            (shown, bytes)
        });
        self.states.push(state);
    }
}

/// Of plane `n`, each sample of `rect` (pixels of the picture as it is shown):
/// its column and row in the plane of the picture, where it lies in the object,
/// and its bytes.
fn pixels_of(
    scanout: &Scanout,
    n: usize,
    rect: Rect,
) -> impl Iterator<Item = ((u32, u32), usize, usize)> {
    let plane = scanout.layout.planes[n];
    let (sub, block) = match (scanout.layout.fourcc, n) {
        (Fourcc::XRGB8888, _) => (1, 4),
        (Fourcc::NV12, 0) => (1, 1),
        _ => (2, 2),
    };
    let view = scanout.view;
    let samples =
        (rect.y..rect.bottom()).flat_map(move |y| (rect.x..rect.right()).map(move |x| (x, y)));
    samples.map(move |(x, y)| {
        let down = match view.orientation {
            Orientation::TopDown => y,
            Orientation::BottomUp => view.content.height - 1 - y,
        };
        let (column, row) = ((view.content.x + x) / sub, (view.content.y + down) / sub);
        let at = plane.offset + row * plane.stride + column * block;
        ((x / sub, y / sub), at as usize, block as usize)
    })
}

/// The picture top-down, plane after plane without gaps.
pub(crate) fn picture(scanout: &Scanout, objects: &[Vec<u8>]) -> Vec<u8> {
    let size = scanout.view.content.size();
    let mut picture = Vec::new();
    for (plane, n) in scanout.layout.planes.iter().zip(0..) {
        let samples: BTreeMap<(u32, u32), &[u8]> = pixels_of(scanout, n, Rect::of(size))
            .map(|((x, y), at, block)| {
                let bytes = &objects[usize::from(plane.object)][at..at + block];
                ((y, x), bytes)
            })
            .collect();
        picture.extend(samples.values().copied().flatten());
    }
    picture
}

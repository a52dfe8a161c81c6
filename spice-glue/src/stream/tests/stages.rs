//! Stages that are late, stuck, broken or too many.

use super::*;

/// Opens slowly, or panics, or stages as the noop backend does.
#[derive(Default)]
struct Odd {
    noop: NoopBackend,
    open_ms: u64,
    panics: AtomicBool,
}

impl Backend for Odd {
    fn name(&self) -> BackendName {
        BackendName("odd")
    }

    fn devices(&self) -> Result<Vec<Device>, BackendError> {
        self.noop.devices()
    }

    fn capabilities(&self, device: &Device) -> Result<Capabilities, BackendError> {
        self.noop.capabilities(device)
    }

    fn open(&self, device: &Device, config: &StageConfig) -> Result<Box<dyn Stager>, OpenError> {
        std::thread::sleep(Duration::from_millis(self.open_ms));
        assert!(
            !self.panics.load(Ordering::SeqCst),
            "asked to panic in open"
        );
        self.noop.open(device, config)
    }
}

#[test]
fn a_stage_that_opens_too_late_is_closed_again() {
    let odd = Odd {
        open_ms: 100,
        ..Odd::default()
    };
    let told = Arc::new(Mutex::new(Vec::new()));
    let (heard, seen) = (Arc::clone(&told), AtomicUsize::new(0));
    let stream = start(
        config(Arc::new(odd)),
        move |event, actions, _| match event {
            Event::Joined { .. } => {
                actions.push(Action::OpenStage {
                    stage: StageId(7),
                    size: SIZE,
                    spec: spec(),
                });
                actions.push(Action::CloseStage(StageId(7)));
            }
            other => {
                seen.fetch_add(1, Ordering::SeqCst);
                heard.lock().unwrap().push(format!("{other:?}"));
            }
        },
    );
    let (outlet, _sent) = outlet();
    let viewer = stream
        .viewers()
        .join(ViewerCaps::default(), outlet)
        .unwrap();
    drop(viewer);
    stream.stop(PATIENCE).unwrap();
    let told = told.lock().unwrap();
    assert!(!told.iter().any(|e| e.contains("Stage")), "{told:?}");
}

#[test]
fn a_backend_that_panics_fails_its_stage_only() {
    let odd = Odd {
        panics: AtomicBool::new(true),
        ..Odd::default()
    };
    let told = Arc::default();
    let stream = start(config(Arc::new(odd)), stage_all(Arc::clone(&told)));
    let (outlet, _sent) = outlet();
    let _viewer = stream
        .viewers()
        .join(ViewerCaps::default(), outlet)
        .unwrap();
    wait_until("the stage fails", || saw(&told, "StageFailed"));
    let owner = Arc::new(Owner::default());
    stream.scanout(image());
    owner.draw(&stream, 0);
    owner.wait_for(1);
    let stats = stream.stop(PATIENCE).unwrap();
    assert_eq!((stats.failures, stats.unstaged), (1, 1));
}

#[test]
fn a_stage_that_panics_answers_its_draw_and_fails() {
    let noop = NoopBackend::default();
    let control = Arc::clone(&noop.control);
    let told = Arc::default();
    let stream = start(config(Arc::new(noop)), stage_all(Arc::clone(&told)));
    stream.scanout(image());
    let (outlet, _sent) = outlet();
    let _viewer = stream
        .viewers()
        .join(ViewerCaps::default(), outlet)
        .unwrap();
    wait_until("a coder opens", || saw(&told, "CoderOpened"));
    let owner = Arc::new(Owner::default());
    owner.draw(&stream, 0);
    owner.wait_for(1);
    wait_until("a packet comes", || saw(&told, "Packet"));
    control.stage_panics.store(true, Ordering::SeqCst);
    owner.draw(&stream, 1);
    owner.wait_for(2);
    wait_until("the stage fails", || saw(&told, "StageFailed"));
    assert!(
        !saw(&told, "CoderFailed"),
        "the stage's failure says it all"
    );
    let stats = stream.stop(PATIENCE).unwrap();
    assert_eq!((stats.staged, stats.failures), (2, 1));
    assert_eq!(control.alive.load(Ordering::SeqCst), 0);
}

#[test]
fn a_stuck_stage_costs_its_draws_the_limit_and_is_given_up() {
    let noop = NoopBackend::default();
    let control = Arc::clone(&noop.control);
    let told = Arc::default();
    let mut config = config(Arc::new(noop));
    config.hold_limit = Duration::from_millis(30);
    let stream = start(config, stage_all(Arc::clone(&told)));
    stream.scanout(image());
    let (outlet, _sent) = outlet();
    let _viewer = stream
        .viewers()
        .join(ViewerCaps::default(), outlet)
        .unwrap();
    wait_until("a coder opens", || saw(&told, "CoderOpened"));
    control.stage_hangs.store(true, Ordering::SeqCst);
    let owner = Arc::new(Owner::default());
    for cookie in 0.. {
        if saw(&told, "StageFailed") {
            break;
        }
        assert!(cookie < 200, "a stuck stage is not noticed");
        owner.draw(&stream, cookie);
        owner.wait_for(cookie as usize + 1);
    }
    let stats = stream.stop(PATIENCE).unwrap();
    assert!(stats.draws >= 4, "{stats:?}");
    assert!(stats.overdue >= 1, "{stats:?}");
}

#[test]
fn stages_beyond_the_bound_fail_and_are_told() {
    let odd = Odd {
        open_ms: 300,
        ..Odd::default()
    };
    let failed = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&failed);
    let stream = start(
        config(Arc::new(odd)),
        move |event, actions, _| match event {
            Event::Joined { .. } => {
                for stage in 0..24 {
                    let (stage, size) = (StageId(stage), SIZE);
                    actions.push(Action::OpenStage {
                        stage,
                        size,
                        spec: spec(),
                    });
                }
            }
            Event::StageFailed(_) => {
                count.fetch_add(1, Ordering::SeqCst);
            }
            _ => {}
        },
    );
    let (outlet, _sent) = outlet();
    let _viewer = stream
        .viewers()
        .join(ViewerCaps::default(), outlet)
        .unwrap();
    wait_until("8 stages are refused", || {
        failed.load(Ordering::SeqCst) == 8
    });
    stream.stop(PATIENCE).unwrap();
    assert_eq!(failed.load(Ordering::SeqCst), 8);
}

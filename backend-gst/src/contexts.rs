//! Device contexts (`GstContext`) that pipelines of one stager share: a surface
//! of one VA display cannot be read through another.

use std::sync::{Arc, Mutex, PoisonError};

use gstreamer::prelude::*;

/// What the elements of several pipelines have told of their devices.
#[derive(Clone, Debug, Default)]
pub(crate) struct Contexts(Arc<Mutex<Vec<gstreamer::Context>>>);

impl Contexts {
    /// Keeps what an element has and answers what another needs. To be called
    /// from the bus's sync handler: an element that asked looks for the answer
    /// as soon as its message was posted.
    pub(crate) fn handle(&self, message: &gstreamer::Message) {
        match message.view() {
            gstreamer::MessageView::HaveContext(have) => {
                let context = have.context();
                let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                // The first stays: pictures of it are under way.
                if !all
                    .iter()
                    .any(|c| c.context_type() == context.context_type())
                {
                    all.push(context);
                }
            }
            gstreamer::MessageView::NeedContext(need) => {
                let kind = need.context_type();
                let known = self
                    .0
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .iter()
                    .find(|c| c.context_type() == kind)
                    .cloned();
                let element = message
                    .src()
                    .and_then(|s| s.downcast_ref::<gstreamer::Element>());
                if let (Some(context), Some(element)) = (known, element) {
                    element.set_context(&context);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::{Around, Pipeline, source};
    use scanout_core::sync::EventFd;

    #[test]
    fn a_pipeline_gets_the_device_that_another_opened() {
        gstreamer::init().unwrap();
        let around = Around::default();
        let caps = gstreamer::Caps::builder("video/x-raw").build();
        let make = |around: &Around| {
            let element = gstreamer::ElementFactory::make("identity").build().unwrap();
            let event = Arc::new(EventFd::new().unwrap());
            let elements = [element.clone()];
            let pipeline =
                Pipeline::to_units(source(&caps), &elements, &caps, event, around).unwrap();
            (pipeline, element)
        };
        let ask = |element: &gstreamer::Element| {
            let need = gstreamer::message::NeedContext::builder("test.device")
                .src(element)
                .build();
            let _ = element.post_message(need);
            element.context("test.device")
        };
        let (_first, opener) = make(&around);
        assert!(ask(&opener).is_none());
        for persistent in [true, false] {
            let context = gstreamer::Context::new("test.device", persistent);
            let have = gstreamer::message::HaveContext::builder(context)
                .src(&opener)
                .build();
            let _ = opener.post_message(have);
        }
        let (_second, asker) = make(&around);
        let got = ask(&asker).expect("the second pipeline opens a device of its own");
        assert!(got.is_persistent(), "the first device was replaced");
        let (_other, stranger) = make(&Around::default());
        assert!(ask(&stranger).is_none(), "another stager's device");
    }
}

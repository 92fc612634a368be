//! What a request is about, judged by what its human said last; and the calls that agents make for themselves.

use std::cell::RefCell;

use nova_route::Classifier;
use nova_route::features::{Features, extract};
use nova_route::task::{Around, SIDE_CALL, Verdict, is_side_call};

use super::facts::Asking;
use super::said::Said;

thread_local! {
    /// Where features are worked out: a worker is a thread, and works on one request at a time.
    static WORK: RefCell<Work> = RefCell::default();
}

/// The features of the text that was looked at last.
#[derive(Debug, Default)]
struct Work {
    features: Features,
    /// How many texts were looked at: which text the features are of.
    texts: u64,
}

/// What a request is about, in which language it is asked, and how hard it is, by what was said in it.
pub(super) fn judge(classifier: &Classifier, heard: &mut Heard, asking: &Asking<'_>) -> Verdict {
    let (said, peek) = (&heard.said, asking.peek);
    if is_side_call(&said.system, &said.text, peek.max_tokens) {
        return Verdict { name: Some(SIDE_CALL), confidence: Some(1.0), ..Verdict::default() };
    }
    let around = Around { prompt_tokens: peek.prompt_estimate, has_images: peek.has_images };
    WORK.with_borrow_mut(|work| {
        if classifier.extracts() {
            work.texts += 1;
            heard.worked = Some(work.texts);
        }
        classifier.judge(&said.text, around, &mut work.features)
    })
}

/// What a human said, kept for what is worked out only where a plan asks for it.
#[derive(Debug)]
pub(crate) struct Heard {
    said: Said,
    /// Which of the texts it was that this thread looked at, if it did.
    worked: Option<u64>,
}

impl Heard {
    pub(super) const fn new(said: Said) -> Self {
        Self { said, worked: None }
    }

    /// Calls with the features of what was said; they are worked out again only where another text came between.
    pub(crate) fn with_features(&self, then: impl FnOnce(&Features)) {
        WORK.with_borrow_mut(|work| {
            if self.worked != Some(work.texts) {
                work.texts += 1;
                extract(&self.said.text, &mut work.features);
            }
            then(&work.features);
        });
    }
}

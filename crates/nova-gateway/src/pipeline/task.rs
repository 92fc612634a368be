//! What a request is about, judged by what its human said last; and the calls that agents make for themselves.

use std::cell::RefCell;

use nova_route::Classifier;
use nova_route::features::Features;
use nova_route::task::{Around, SIDE_CALL, Verdict, is_side_call};

use super::facts::Asking;
use super::said;

thread_local! {
    /// Where features are worked out: a worker is a thread, and works on one request at a time.
    static FEATURES: RefCell<Features> = RefCell::default();
}

/// What a request is about, in which language it is asked, and how hard it is. Reads the body, so it is for
/// requests whose rules or mode ask for that.
pub(super) fn judge(classifier: Classifier, asking: &Asking<'_>) -> Verdict {
    if classifier == Classifier::None {
        return Verdict::default();
    }
    let Some(said) = said::last(asking.dialect, asking.body) else { return Verdict::default() };
    let peek = asking.peek;
    if is_side_call(&said.system, &said.text, peek.max_tokens) {
        return Verdict { name: Some(SIDE_CALL), confidence: Some(1.0), ..Verdict::default() };
    }
    let around = Around { prompt_tokens: peek.prompt_estimate, has_images: peek.has_images };
    FEATURES.with_borrow_mut(|features| classifier.judge(&said.text, around, features))
}

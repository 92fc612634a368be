//! Stop sequences that a target does not take: the gateway ends the answer itself where one comes up.
//!
//! Invariant: nothing from a stop sequence on reaches the client, however the answer is cut into pieces, and
//! nothing before one is held back for longer than it may be the beginning of one.

use super::delta::Delta;
use super::reply::{Finish, ReplyPart};

/// Takes the stop sequences beyond a target's bound away, for [`Stops`]; the first ones are the target's.
pub(crate) fn beyond(stop: &mut Vec<String>, takes: impl Fn(&str) -> bool, most: usize) -> Vec<String> {
    let (mut kept, mut beyond) = (Vec::new(), Vec::new());
    for one in std::mem::take(stop) {
        match one {
            // Nobody waits for nothing.
            one if one.is_empty() => {}
            one if kept.len() < most && takes(&one) => kept.push(one),
            one => beyond.push(one),
        }
    }
    *stop = kept;
    beyond
}

/// Looks for stop sequences in the text of an answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stops {
    /// What to look for; none of them empty.
    stops: Vec<String>,
    /// The end of the text so far, as long as it may be the beginning of one.
    held: String,
    /// Whether one came up: the rest of the answer is not for the client.
    over: bool,
}

impl Stops {
    pub(crate) fn new(stops: &[String]) -> Self {
        Self { stops: stops.to_vec(), ..Self::default() }
    }

    /// Ends a whole answer where the first one comes up.
    pub(crate) fn parts(&mut self, parts: &mut Vec<ReplyPart>, finish: &mut Finish) {
        for at in 0..parts.len() {
            let ReplyPart::Text(text) = &mut parts[at] else { continue };
            let Some((place, stop)) = first(&self.stops, text) else { continue };
            text.truncate(place);
            let emptied = usize::from(!text.is_empty());
            *finish = Finish::StopSequence(Some(stop.to_owned()));
            parts.truncate(at + emptied);
            return;
        }
    }

    /// Ends a streamed answer where the first one comes up. Text that another part follows is not held any
    /// longer: a stop sequence does not lie across parts.
    pub(crate) fn deltas(&mut self, deltas: &mut Vec<Delta>) {
        if self.stops.is_empty() {
            return;
        }
        if self.over {
            deltas.clear();
            return;
        }
        for delta in std::mem::take(deltas) {
            match delta {
                Delta::Text(text) => {
                    self.held.push_str(&text);
                    if let Some((place, stop)) = first(&self.stops, &self.held) {
                        let finish = Finish::StopSequence(Some(stop.to_owned()));
                        self.held.truncate(place);
                        self.release(deltas);
                        deltas.extend([Delta::Finish(finish), Delta::End]);
                        self.over = true;
                        return;
                    }
                    let open = self.open();
                    let ready: String = self.held.drain(..self.held.len() - open).collect();
                    if !ready.is_empty() {
                        deltas.push(Delta::Text(ready));
                    }
                }
                // These say nothing about where the text ends.
                delta @ (Delta::Ping | Delta::Usage(_) | Delta::Start { .. }) => deltas.push(delta),
                delta => {
                    self.release(deltas);
                    deltas.push(delta);
                }
            }
        }
    }

    fn release(&mut self, deltas: &mut Vec<Delta>) {
        if !self.held.is_empty() {
            deltas.push(Delta::Text(std::mem::take(&mut self.held)));
        }
    }

    /// How many bytes at the end may be the beginning of a stop sequence.
    fn open(&self) -> usize {
        let open = |stop: &String| {
            let most = (stop.len() - 1).min(self.held.len());
            (1..=most).rev().find(|&length| {
                stop.as_bytes().starts_with(&self.held.as_bytes()[self.held.len() - length..])
            })
        };
        // The beginning of a text is whole letters, so its end in `held` begins at a letter, too.
        self.stops.iter().filter_map(open).max().unwrap_or(0)
    }
}

/// The place of the first stop sequence in a text; of those at one place, the first in the list.
fn first<'s>(stops: &'s [String], text: &str) -> Option<(usize, &'s str)> {
    let found = stops.iter().filter_map(|stop| Some((text.find(stop.as_str())?, stop.as_str())));
    found.min_by_key(|(place, _)| *place)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stops(list: &[&str]) -> Stops {
        Stops::new(&list.iter().map(|&stop| stop.to_owned()).collect::<Vec<_>>())
    }

    /// The text that a client sees of pieces of text, and why the answer ended.
    fn streamed(list: &[&str], pieces: &[&str]) -> (String, Option<Finish>) {
        let mut stops = stops(list);
        let (mut text, mut finish) = (String::new(), None);
        let ends = [Delta::Finish(Finish::Stop), Delta::End];
        for delta in pieces.iter().map(|piece| Delta::Text((*piece).to_owned())).chain(ends) {
            let mut deltas = vec![delta];
            stops.deltas(&mut deltas);
            for delta in deltas {
                match delta {
                    Delta::Text(more) => text.push_str(&more),
                    Delta::Finish(why) => finish = finish.or(Some(why)),
                    _ => {}
                }
            }
        }
        (text, finish)
    }

    #[test]
    fn an_answer_ends_where_the_first_stop_sequence_comes_up() {
        let check = |list: &[&str], pieces: &[&str], text: &str, stop: Option<&str>| {
            let finish = stop.map_or(Finish::Stop, |stop| Finish::StopSequence(Some(stop.to_owned())));
            assert_eq!(
                streamed(list, pieces),
                (text.to_owned(), Some(finish.clone())),
                "{list:?} {pieces:?}"
            );
            let mut parts = vec![ReplyPart::Text(pieces.concat()), ReplyPart::Text("more".to_owned())];
            let mut ended = Finish::Stop;
            stops(list).parts(&mut parts, &mut ended);
            assert_eq!(ended, finish);
            let whole = if text.is_empty() { None } else { Some(ReplyPart::Text(text.to_owned())) };
            match stop {
                Some(_) => assert_eq!(parts, whole.into_iter().collect::<Vec<_>>()),
                None => assert_eq!(parts.len(), 2),
            }
        };
        check(&["END"], &["one EN", "D two"], "one ", Some("END"));
        check(&["END"], &["one E", "N", "x"], "one ENx", None);
        check(&["END"], &["one EN"], "one EN", None);
        check(&["b", "a"], &["xab"], "x", Some("a"));
        check(&["aab"], &["aa", "aab"], "aa", Some("aab"));
        check(&["终止"], &["好", "终", "止了"], "好", Some("终止"));
        check(&["a"], &["a"], "", Some("a"));
        check(&[], &["END"], "END", None);
    }

    #[test]
    fn what_a_target_takes_is_left_to_it() {
        let check = |most: usize, kept: &[&str], beyond_it: &[&str]| {
            let mut stop: Vec<String> = ["a", "", " ", "b", "c"].map(str::to_owned).into();
            let rest = beyond(&mut stop, |one| !one.trim().is_empty(), most);
            assert_eq!(
                (stop, rest),
                (
                    kept.iter().map(|&it| it.to_owned()).collect(),
                    beyond_it.iter().map(|&it| it.to_owned()).collect()
                )
            );
        };
        check(2, &["a", "b"], &[" ", "c"]);
        check(0, &[], &["a", " ", "b", "c"]);
        check(9, &["a", "b", "c"], &[" "]);
    }

    proptest! {
        #[test]
        fn however_a_text_is_cut_the_client_sees_the_same(
            text in "[ab终]{0,24}", stop in "[ab终]{1,4}", cuts in prop::collection::vec(0..24_usize, 0..6),
        ) {
            let mut pieces = Vec::new();
            let mut rest = text.as_str();
            for cut in cuts {
                let at = (0..=rest.len().min(cut)).rev().find(|&at| rest.is_char_boundary(at)).unwrap_or(0);
                let (piece, after) = rest.split_at(at);
                pieces.push(piece);
                rest = after;
            }
            pieces.push(rest);
            let pieces: Vec<&str> = pieces.into_iter().filter(|piece| !piece.is_empty()).collect();
            let expected = text.find(&stop).map_or(text.as_str(), |at| &text[..at]);
            prop_assert_eq!(streamed(&[&stop], &pieces).0, expected);
        }
    }
}

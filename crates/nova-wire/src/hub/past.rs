//! What earlier turns leave behind: thinking, and the opaque signatures of providers.
//!
//! Two things make a second turn fail behind a gateway. A client of one dialect carries no thinking of
//! another, or forgets it, while DeepSeek, Kimi and Gemini answer 400 to calls of tools without it. And a
//! signature that one provider made means nothing to the next one, which answers 400 to that.
//!
//! So a signature that leaves through the hub is tagged with its provider's name ([`tag`]), and one that
//! comes back goes only to that provider ([`restore`]). What a client may drop is kept aside by the id
//! of the call that followed it ([`Thought`]); whoever serves the request keeps it, this module only
//! says what and puts it back.
//!
//! Invariant: no tag leaves towards a provider, and no provider sees another one's signature.

use std::fmt;
use std::sync::{Arc, LazyLock};

use memchr::memmem::Finder;

use crate::hub::delta::Delta;
use crate::hub::reply::ReplyPart;
use crate::hub::request::{Part, Request, Role, ToolCall, Turn};
use crate::ids;

#[cfg(test)]
mod tests;

/// The beginning of every tag.
pub(crate) const MARK: &str = "ns1.";

/// The most that is kept of one answer's thinking, in bytes. A longer one is not kept at all, since a
/// part of it would be taken for the whole.
const LONGEST: usize = 256 << 10;

/// What a model thought before it called tools.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Thought {
    /// Who answered, by the gateway's name for it.
    pub provider: Arc<str>,
    /// The thinking, in order: [`Part::Thinking`] and [`Part::RedactedThinking`], signatures untagged.
    pub parts: Vec<Part>,
    /// The calls that followed: each one's id, and the provider's signature on it.
    pub calls: Vec<(String, Option<String>)>,
}

impl Thought {
    /// Roughly the memory that it takes, in bytes.
    pub fn size(&self) -> usize {
        let parts = self.parts.iter().map(|part| match part {
            Part::Thinking { text, signature } => text.len() + signature.as_ref().map_or(0, String::len),
            Part::RedactedThinking { data } => data.len(),
            _ => 0,
        });
        let calls =
            self.calls.iter().map(|(id, signature)| id.len() + signature.as_ref().map_or(0, String::len));
        parts.chain(calls).sum::<usize>() + 128
    }

    fn is_worth_keeping(&self) -> bool {
        let signed = self.calls.iter().any(|(_, signature)| signature.is_some());
        !self.calls.is_empty() && (signed || !self.parts.is_empty()) && self.size() <= LONGEST
    }
}

/// Finds the thought that preceded the call with an id.
pub type Recall<'a> = &'a (dyn Fn(&str) -> Option<Arc<Thought>> + Sync);

/// What is known of a conversation's earlier turns.
#[derive(Clone, Copy, Default)]
pub struct Past<'a> {
    /// The provider that the request goes to, by the gateway's name for it.
    pub provider: &'a str,
    /// Finds what a client dropped.
    pub recall: Option<Recall<'a>>,
}

impl fmt::Debug for Past<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Past").field("provider", &self.provider).finish_non_exhaustive()
    }
}

impl Past<'_> {
    /// The thought that preceded one of these calls.
    pub fn thought(&self, mut ids: impl Iterator<Item = impl AsRef<str>>) -> Option<Arc<Thought>> {
        let recall = self.recall?;
        ids.find_map(|id| recall(id.as_ref()))
    }
}

/// Whether a tag stands anywhere in a body. Clients of Gemini carry it in base64.
pub(crate) fn is_tagged(body: &[u8]) -> bool {
    static TAG: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"ns1."));
    static ARMOURED: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"bnMxL"));
    TAG.find(body).is_some() || ARMOURED.find(body).is_some()
}

/// A provider's signature as a client carries it: `ns1.<provider>.<signature>`.
pub fn tag(provider: &str, signature: &str) -> String {
    format!("{MARK}{}.{signature}", ids::to_word(provider))
}

/// What a signature that a client carries means to `provider`: itself where that provider made it.
///
/// An untagged one came past the hub, from an upstream of the client's own dialect, and can only go back
/// to such a one (`native`).
pub(crate) fn untag(signature: &str, provider: &str, native: bool) -> Option<String> {
    let own = match signature.strip_prefix(MARK) {
        None => native.then_some(signature),
        Some(rest) => rest
            .split_once('.')
            .filter(|(maker, _)| *maker == ids::to_word(provider))
            .map(|(_, signature)| signature),
    };
    own.filter(|signature| !signature.is_empty()).map(str::to_owned)
}

/// Puts back what the client dropped, and takes away signatures that are not the target's own.
pub fn restore(request: &mut Request, past: &Past<'_>, native: bool) {
    for turn in request.turns.iter_mut().filter(|turn| turn.role == Role::Assistant) {
        turn.parts.retain_mut(|part| match part {
            Part::Thinking { signature, text } => {
                *signature = signature.take().and_then(|it| untag(&it, past.provider, native));
                signature.is_some() || !text.is_empty()
            }
            Part::RedactedThinking { data } => match untag(data, past.provider, native) {
                Some(own) => {
                    *data = own;
                    true
                }
                None => false,
            },
            Part::ToolCall(call) => {
                let signature = &mut call.mark.signature;
                *signature = signature.take().and_then(|it| untag(&it, past.provider, native));
                true
            }
            _ => true,
        });
        remember(turn, past);
    }
}

fn remember(turn: &mut Turn, past: &Past<'_>) {
    let ids = turn.parts.iter().filter_map(|part| match part {
        Part::ToolCall(call) => Some(&call.id),
        _ => None,
    });
    let Some(thought) = past.thought(ids) else { return };
    let same = &*thought.provider == past.provider;
    for part in &mut turn.parts {
        if let Part::ToolCall(ToolCall { id, mark, .. }) = part
            && same
            && mark.signature.is_none()
            && let Some((_, signature)) = thought.calls.iter().find(|(known, _)| known == id)
        {
            mark.signature.clone_from(signature);
        }
    }
    let has_own = turn.parts.iter().any(|part| match part {
        Part::Thinking { signature, .. } => signature.is_some() || !same,
        Part::RedactedThinking { .. } => true,
        _ => false,
    });
    if has_own {
        return;
    }
    let parts = thought.parts.iter().filter_map(|part| match part {
        _ if same => Some(part.clone()),
        Part::Thinking { text, .. } if !text.is_empty() => {
            Some(Part::Thinking { text: text.clone(), signature: None })
        }
        _ => None,
    });
    let parts: Vec<Part> = parts.collect();
    if !parts.is_empty() {
        turn.parts.retain(|part| !matches!(part, Part::Thinking { .. }));
        turn.parts.splice(0..0, parts);
    }
}

/// Tags the signatures of one answer on their way out, and collects its thought.
#[derive(Debug)]
pub(crate) struct Keeper {
    /// Whether unsigned thinking gets a bare tag, so that it is known again for ours (Messages clients,
    /// which send thinking back with whatever signature it had).
    marks_unsigned: bool,
    /// Whether the thinking that is open has no signature yet.
    unsigned: bool,
    thought: Thought,
    done: bool,
}

impl Keeper {
    /// A keeper at the beginning of an answer. Without a provider's name it does nothing.
    pub(crate) fn new(provider: &Arc<str>, marks_unsigned: bool) -> Self {
        let thought = Thought { provider: Arc::clone(provider), ..Thought::default() };
        Self { marks_unsigned, unsigned: false, thought, done: false }
    }

    /// The thought, once the answer's content is complete and where there is one to keep.
    pub(crate) fn take(&mut self) -> Option<Thought> {
        let ready = self.done && self.thought.is_worth_keeping();
        ready.then(|| std::mem::take(&mut self.thought))
    }

    /// Looks at the deltas of a stream, and tags them.
    pub(crate) fn deltas(&mut self, deltas: &mut Vec<Delta>) {
        if self.thought.provider.is_empty() {
            return;
        }
        let mut at = 0;
        while at < deltas.len() {
            if self.ends_unsigned(&deltas[at]) {
                deltas.insert(at, Delta::Signature(tag(&self.thought.provider, "")));
                at += 1;
            }
            self.delta(&mut deltas[at]);
            at += 1;
        }
    }

    fn ends_unsigned(&mut self, next: &Delta) -> bool {
        if matches!(next, Delta::Thinking(_) | Delta::Signature(_) | Delta::Ping | Delta::Usage(_)) {
            return false;
        }
        std::mem::take(&mut self.unsigned) && self.marks_unsigned && !matches!(next, Delta::Error(_))
    }

    fn delta(&mut self, delta: &mut Delta) {
        match delta {
            Delta::Thinking(text) => {
                let goes_on = std::mem::replace(&mut self.unsigned, true);
                self.think(text, goes_on);
            }
            Delta::Signature(signature) => {
                self.unsigned = false;
                match self.thought.parts.last_mut() {
                    Some(Part::Thinking { signature: place @ None, .. }) => *place = Some(signature.clone()),
                    _ => self
                        .thought
                        .parts
                        .push(Part::Thinking { text: String::new(), signature: Some(signature.clone()) }),
                }
                *signature = tag(&self.thought.provider, signature);
            }
            Delta::RedactedThinking(data) => {
                self.thought.parts.push(Part::RedactedThinking { data: data.clone() });
                *data = tag(&self.thought.provider, data);
            }
            Delta::ToolStart { id, mark, .. } => {
                self.thought.calls.push((id.clone(), mark.signature.clone()));
                mark.signature = mark.signature.take().map(|raw| tag(&self.thought.provider, &raw));
            }
            Delta::Finish(_) => self.done = true,
            _ => {}
        }
    }

    fn think(&mut self, text: &str, goes_on: bool) {
        match self.thought.parts.last_mut() {
            Some(Part::Thinking { text: all, signature: None }) if goes_on => {
                // One that grows too long is not kept in the end.
                if all.len() <= LONGEST {
                    all.push_str(text);
                }
            }
            _ => self.thought.parts.push(Part::Thinking { text: text.to_owned(), signature: None }),
        }
    }

    /// Looks at a whole answer, and tags it.
    pub(crate) fn parts(&mut self, parts: &mut [ReplyPart]) {
        if self.thought.provider.is_empty() {
            return;
        }
        let provider = Arc::clone(&self.thought.provider);
        for part in parts {
            match part {
                ReplyPart::Thinking { text, signature } => {
                    self.thought
                        .parts
                        .push(Part::Thinking { text: text.clone(), signature: signature.clone() });
                    let bare = self.marks_unsigned.then(|| tag(&provider, ""));
                    *signature = signature.take().map(|raw| tag(&provider, &raw)).or(bare);
                }
                ReplyPart::RedactedThinking { data } => {
                    self.thought.parts.push(Part::RedactedThinking { data: data.clone() });
                    *data = tag(&provider, data);
                }
                ReplyPart::ToolCall(call) => {
                    self.thought.calls.push((call.id.clone(), call.mark.signature.clone()));
                    call.mark.signature = call.mark.signature.take().map(|raw| tag(&provider, &raw));
                }
                ReplyPart::Text(_) | ReplyPart::Refusal(_) | ReplyPart::Citation(_) | ReplyPart::Image(_) => {
                }
            }
        }
        self.done = true;
    }

    /// Looks at the fields of a chat answer that is passed through, where nothing is tagged.
    pub(crate) fn chat(&mut self, thinking: &str, calls: impl Iterator<Item = String>, finished: bool) {
        if !thinking.is_empty() {
            self.think(thinking, true);
        }
        self.thought.calls.extend(calls.map(|id| (id, None)));
        self.done |= finished;
    }
}

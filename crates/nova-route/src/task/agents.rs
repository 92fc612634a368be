//! What programs put around the words of a human, and the calls that they make for themselves.
//!
//! Agents send notes, the state of the editor and rules of the project as if the human had said them. None of
//! it says what the human wants now. And they make calls beside the conversation, for a title or a summary of
//! the past, which no human waits for.

/// Blocks between tags of these names, which are left out.
const NOTES: [&str; 26] = [
    "system-reminder",
    "system_reminder",
    "environment_context",
    "environment_details",
    "environment_info",
    "workspace_info",
    "session_context",
    "user_instructions",
    "INSTRUCTIONS",
    "instructions_context",
    "additional_data",
    "attached_files",
    "attachments",
    "open_and_recently_viewed_files",
    "project_layout",
    "git_status",
    "editorContext",
    "reminderInstructions",
    "ide_opened_file",
    "ide_selection",
    "local-command-caveat",
    "local-command-stdout",
    "command-name",
    "command-message",
    "user_info",
    "rules",
];

/// Tags around the human's own words; nothing else of the text counts.
const WORDS: [&str; 4] = ["user_query", "userRequest", "user_message", "task"];

/// What stands right before the human's own words.
const HEADINGS: [&str; 2] = ["## My request for Codex:", "User query:\n"];

/// Messages that nobody typed.
const NOTICES: [&str; 5] = [
    "[request interrupted by user",
    "# agents.md instructions for",
    "this is the gemini cli. we are setting up the context",
    "caveat: the messages below were generated",
    "this session is being continued from a previous conversation",
];

/// What systems' texts say, in small letters, where all that is asked for is a title, a summary of the past, or a
/// check.
const SIDE_SYSTEM: [&str; 14] = [
    "title generator",
    "generate a concise title",
    "generate a short title",
    "generate a title",
    "word title",
    "indicates a new conversation topic",
    "summarize this coding conversation",
    "tasked with summarizing conversations",
    "summarizes internal chat history",
    "compacting conversations",
    "context checkpoint compaction",
    "bash commands that an ai coding agent",
    "extract any file paths that this command",
    "description of this session in",
];

/// The same in the last message. A human may ask for a title too, so these say that it is one of the conversation.
const SIDE_SAID: [&str; 23] = [
    "title for the conversation",
    "title for this conversation",
    "title for the following conversation",
    "title for the chat",
    "title summarizing the chat",
    "word title with an emoji",
    "title for our conversation",
    "summarize this coding conversation",
    "detailed summary of the conversation so far",
    "detailed summary of our conversation so far",
    "detailed summary of this conversation",
    "context checkpoint compaction",
    "compact the conversation",
    "description of this session in",
    "broad tags categorizing",
    "relevant follow-up questions or prompts",
    "necessity of generating search queries",
    "who should speak next",
    "your immediately preceding response",
    "bash commands that an ai coding agent",
    "extract any file paths that this command",
    "<policy_spec>",
    "indicates a new conversation topic",
];

/// Whole messages by which agents probe whether a key works.
const PROBES: [&str; 6] = ["quota", "warmup", "ping", "test", "count", "foo"];
/// A probe wants no more tokens than this.
const PROBE_TOKENS: u64 = 1;
/// How much of a text is looked at: such prompts say at once, or at the end, what they want.
const LOOKED_AT: usize = 1_500;

/// What a human said in a message, without what programs put around it; empty where nothing is left.
pub fn human(message: &str) -> String {
    let mut message = message;
    for heading in HEADINGS {
        if let Some((_, said)) = message.split_once(heading) {
            message = said;
        }
    }
    if let Some(said) = WORDS.iter().find_map(|tag| inside(message, tag)) {
        message = said;
    }
    let said = without_notes(message);
    let said = said.trim();
    let is_notice = NOTICES.iter().any(|notice| begins(said, notice));
    if is_notice { String::new() } else { said.to_owned() }
}

/// Whether an agent makes this call for itself: for a title, a compaction, a probe. `system` and `said` are the
/// system's text and the last message, `max_tokens` what the answer may have.
pub fn is_side_call(system: &str, said: &str, max_tokens: Option<u64>) -> bool {
    let probe = max_tokens.is_some_and(|most| most <= PROBE_TOKENS);
    if probe && PROBES.iter().any(|word| word.eq_ignore_ascii_case(said.trim())) {
        return true;
    }
    let head = |text: &str| text[..text.floor_char_boundary(LOOKED_AT)].to_ascii_lowercase();
    let tail = said[said.ceil_char_boundary(said.len().saturating_sub(LOOKED_AT))..].to_ascii_lowercase();
    let (system, said) = (head(system), head(said));
    SIDE_SYSTEM.iter().any(|piece| system.contains(piece))
        || SIDE_SAID.iter().any(|piece| said.contains(piece) || tail.contains(piece))
}

fn begins(text: &str, with: &str) -> bool {
    text.as_bytes().get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with.as_bytes()))
}

/// What stands between the first tag of a name and the last one that closes it, if the text begins with it or
/// with other tags.
fn inside<'t>(text: &'t str, tag: &str) -> Option<&'t str> {
    let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
    let from = text.find(&open)? + open.len();
    let to = text.rfind(&close)?;
    text.get(from..to)
}

/// A text without the blocks of notes. Takes time in proportion to its length: a name whose block has no end
/// is not looked for again.
fn without_notes(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut open_ended = [false; NOTES.len()];
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        let behind = &rest[at + 1..];
        let block = NOTES.iter().zip(&mut open_ended).find_map(|(name, open_ended)| {
            let is_it = behind.strip_prefix(name)?.starts_with(['>', ' ']);
            if !is_it || *open_ended {
                return None;
            }
            let close = format!("</{name}>");
            let end = behind.find(&close).map(|end| end + close.len());
            *open_ended = end.is_none();
            end
        });
        let Some(end) = block else {
            kept.push_str(&rest[..=at]);
            rest = behind;
            continue;
        };
        kept.push_str(&rest[..at]);
        rest = &behind[end..];
    }
    kept.push_str(rest);
    kept
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_programs_add_is_left_out() {
        let check = |message: &str, said: &str| assert_eq!(human(message), said, "{message}");
        check("Fix the test", "Fix the test");
        check("<system-reminder>Use the todo list.</system-reminder>\nFix the test", "Fix the test");
        check(
            "Fix the test\n<system-reminder>a</system-reminder> <system-reminder>b</system-reminder>",
            "Fix the test",
        );
        check("<environment_context>\n  <cwd>/x</cwd>\n</environment_context>", "");
        check("<additional_data>x</additional_data>\n<user_query>\nFix it\n</user_query>", "Fix it");
        check("<task>\nFix it\n</task>\n<environment_details>\n# VSCode\n</environment_details>", "Fix it");
        check("# Context from my IDE setup:\n\n## My request for Codex:\nFix it", "Fix it");
        check("# AGENTS.md instructions for /x\n\n<INSTRUCTIONS>\nbe nice\n</INSTRUCTIONS>", "");
        check("[Request interrupted by user for tool use]", "");
        check("This is the Gemini CLI. We are setting up the context for our chat.\nToday is", "");
        // What only looks like a note stays.
        check("What does <system-reminder> mean?", "What does <system-reminder> mean?");
        check("a < b and <b>bold</b>", "a < b and <b>bold</b>");
        check("", "");
    }

    #[test]
    fn calls_that_agents_make_for_themselves_are_known() {
        let check = |system: &str, said: &str, most: Option<u64>, side: bool| {
            assert_eq!(is_side_call(system, said, most), side, "{system} | {said}");
        };
        check("", "quota", Some(1), true);
        check("", "quota", None, false);
        check("", "What is a quota?", Some(1), false);
        check("You are a title generator. You output only a title.", "Fix the test", None, true);
        check("", "Please write a 5-10 word title for the following conversation:", None, true);
        check("", "### Task:\nGenerate a concise, 3-5 word title with an emoji", None, true);
        check("", "Write a 5 word title for my essay about trees", None, false);
        check("", "### Task:\nGenerate 1-3 broad tags categorizing the main themes", None, true);
        check("", "Your task is to create a detailed summary of the conversation so far, paying", None, true);
        check(
            "",
            &format!("{} Provide a detailed summary of our conversation so far", "x ".repeat(9000)),
            None,
            true,
        );
        check("You are a coding agent.", "Write a title page in LaTeX", None, false);
        check("You are a helpful assistant.", "Summarize this article", None, false);
        check("", "", None, false);
    }

    proptest! {
        #[test]
        fn any_message_is_taken(message in "(<system-reminder>|</system-reminder>|<task>|</task>|<|\\PC{0,3}){0,40}") {
            let said = human(&message);
            prop_assert!(said.len() <= message.len());
            is_side_call(&message, &said, Some(1));
        }
    }
}

//! The chat template that a model file carries: Jinja, rendered with the file treated as a stranger.
//!
//! A template gets no loader, no access to anything but the conversation, and a bounded number of steps.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{ValueKind, from_args};
use minijinja::{Environment, Error, ErrorKind, State, Value, context};

use crate::error::EngineError;

/// Steps of the template machine per rendering; a long conversation takes some ten per message.
const FUEL: u64 = 1_000_000;
/// The longest template taken; known ones stay below 20 KB.
const MAX_TEMPLATE: usize = 256 << 10;
const NAME: &str = "chat";

/// What a template sees of one message.
#[derive(Debug, Clone)]
pub(crate) struct TemplateMessage {
    pub(crate) role: &'static str,
    pub(crate) content: String,
}

/// A compiled chat template.
#[derive(Debug)]
pub(crate) struct ChatTemplate {
    environment: Environment<'static>,
    bos: String,
    eos: String,
}

impl ChatTemplate {
    /// Compiles a template. `bos` and `eos` are the texts that it may name.
    pub(crate) fn new(source: &str, bos: &str, eos: &str) -> Result<Self, EngineError> {
        if source.len() > MAX_TEMPLATE {
            return Err(EngineError::Template(format!("it is `{}` bytes long", source.len())));
        }
        let mut environment = Environment::new();
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(64);
        // What `transformers` sets, so that templates written for it come out alike.
        let syntax =
            SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().map_err(|e| failed(&e))?;
        environment.set_syntax(syntax);
        environment.add_function("raise_exception", |message: String| -> Result<Value, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, message))
        });
        environment.set_unknown_method_callback(python_method);
        environment.add_template_owned(NAME, source.to_owned()).map_err(|e| failed(&e))?;
        Ok(Self { environment, bos: bos.to_owned(), eos: eos.to_owned() })
    }

    /// Renders a conversation up to where the assistant's answer begins.
    pub(crate) fn render(&self, messages: &[TemplateMessage]) -> Result<String, EngineError> {
        let template = self.environment.get_template(NAME).map_err(|e| failed(&e))?;
        let messages = messages.iter().map(|m| context! { role => m.role, content => m.content.as_str() });
        let values = context! {
            messages => messages.collect::<Vec<Value>>(),
            add_generation_prompt => true,
            bos_token => self.bos.as_str(),
            eos_token => self.eos.as_str(),
        };
        template.render(values).map_err(|e| failed(&e))
    }
}

fn failed(error: &Error) -> EngineError {
    let line = error.line().map_or_else(String::new, |line| format!(" (line {line})"));
    let what = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    EngineError::Template(format!("{what}{line}"))
}

/// The methods of Python's strings and dicts that chat templates use.
fn python_method(_: &mut State<'_, '_>, value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    let unknown = || Error::from(ErrorKind::UnknownMethod);
    if value.kind() == ValueKind::Map {
        return match method {
            "get" => {
                let (key, default): (Value, Option<Value>) = from_args(args)?;
                let found = value.get_item(&key)?;
                Ok(if found.is_undefined() { default.unwrap_or(Value::from(())) } else { found })
            }
            "keys" => Ok(value.try_iter()?.collect()),
            "items" => value
                .try_iter()?
                .map(|key| Ok(Value::from(vec![key.clone(), value.get_item(&key)?])))
                .collect(),
            _ => Err(unknown()),
        };
    }
    let text = value.as_str().ok_or_else(unknown)?;
    let args: Vec<String> = args.iter().map(ToString::to_string).collect();
    let first = args.first().map(String::as_str);
    let cut = |c: char| first.map_or(c.is_whitespace(), |set| set.contains(c));
    Ok(match (method, first) {
        ("strip", _) => text.trim_matches(cut).into(),
        ("lstrip", _) => text.trim_start_matches(cut).into(),
        ("rstrip", _) => text.trim_end_matches(cut).into(),
        ("upper", _) => text.to_uppercase().into(),
        ("lower", _) => text.to_lowercase().into(),
        ("startswith", Some(start)) => text.starts_with(start).into(),
        ("endswith", Some(end)) => text.ends_with(end).into(),
        ("split", Some(by)) if !by.is_empty() => text.split(by).map(str::to_owned).map(Value::from).collect(),
        ("split", None) => text.split_whitespace().map(str::to_owned).map(Value::from).collect(),
        ("replace", Some(from)) if args.len() >= 2 && !from.is_empty() => text.replace(from, &args[1]).into(),
        _ => return Err(unknown()),
    })
}

#[cfg(test)]
mod tests {
    use super::{ChatTemplate, TemplateMessage};

    fn render(source: &str) -> Result<String, String> {
        let messages = [
            TemplateMessage { role: "system", content: " be brief ".to_owned() },
            TemplateMessage { role: "user", content: "a,b".to_owned() },
        ];
        let template = ChatTemplate::new(source, "<s>", "</s>").map_err(|e| e.to_string())?;
        template.render(&messages).map_err(|e| e.to_string())
    }

    #[test]
    fn templates_see_the_conversation_as_python_ones_do() {
        let cases = [
            ("{{ bos_token }}{{ messages[0]['content'].strip() }}{{ eos_token }}", "<s>be brief</s>"),
            ("{% for m in messages %}\n{{ m.role }} {% endfor %}", "system user "),
            ("{{ messages[-1].content.split(',')[1] }}", "b"),
            ("{{ messages[0].get('name', 'none') }}", "none"),
            ("{% if messages[1].content.startswith('a') and not tools %}yes{% endif %}", "yes"),
            ("{% if add_generation_prompt %}go{% endif %}", "go"),
        ];
        for (source, expected) in cases {
            assert_eq!(render(source).as_deref(), Ok(expected), "{source}");
        }
    }

    #[test]
    fn a_hostile_template_ends_in_an_error() {
        let cases = [
            ("{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}", "fuel"),
            ("{{ raise_exception('no system here') }}", "no system here"),
            ("{% include 'secrets' %}", ""),
            ("{{ messages[0].content.hack() }}", ""),
            ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", ""),
            ("{{ unclosed", ""),
        ];
        for (source, reason) in cases {
            let error = render(source).expect_err(source);
            assert!(error.contains(reason), "{source}: {error}");
        }
    }
}

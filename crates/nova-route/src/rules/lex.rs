//! From a text to tokens, each with its place.

use super::{Fault, Span};

/// A token.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A variable's name, or a word that should be one.
    Name(String),
    Number(f64),
    /// A number of milliseconds.
    Time(f64),
    Text(String),
    Truth(bool),
    Order(Order),
    Matches,
    Contains,
    In,
    And,
    Or,
    Not,
    Open,
    Close,
    ListOpen,
    ListClose,
    Comma,
    End,
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Equal,
    Unequal,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

impl Order {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::Unequal => "!=",
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::Greater => ">",
            Self::AtLeast => ">=",
        }
    }

    /// The same comparison with its sides exchanged.
    pub(super) const fn turned(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::AtMost => Self::AtLeast,
            Self::Greater => Self::Less,
            Self::AtLeast => Self::AtMost,
            same => same,
        }
    }

    /// Whether it holds between two numbers.
    #[expect(clippy::float_cmp, reason = "rules compare with the number that is written, to the bit")]
    pub(super) fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::Equal => left == right,
            Self::Unequal => left != right,
            Self::Less => left < right,
            Self::AtMost => left <= right,
            Self::Greater => left > right,
            Self::AtLeast => left >= right,
        }
    }
}

/// Signs of one or two bytes; longer ones stand before what they begin with.
const SIGNS: [(&str, Token); 15] = [
    ("==", Token::Order(Order::Equal)),
    ("!=", Token::Order(Order::Unequal)),
    ("<=", Token::Order(Order::AtMost)),
    (">=", Token::Order(Order::AtLeast)),
    ("&&", Token::And),
    ("||", Token::Or),
    ("<", Token::Order(Order::Less)),
    (">", Token::Order(Order::Greater)),
    ("!", Token::Not),
    ("(", Token::Open),
    (")", Token::Close),
    ("[", Token::ListOpen),
    ("]", Token::ListClose),
    (",", Token::Comma),
    // What is nearly right is read as what is meant, and said to be wrong.
    ("=", Token::Order(Order::Equal)),
];

/// Quotes that word processors and web pages put in place of straight ones, and what ends each.
const CURLY: [(char, char); 4] = [('“', '”'), ('”', '”'), ('‘', '’'), ('’', '’')];

/// The tokens of a text, with an end behind them. What is wrong is noted and read as what it most looks like.
pub(super) fn tokens(text: &str, faults: &mut Vec<Fault>) -> Vec<(Token, Span)> {
    let mut lexer = Lexer { text, at: 0, faults };
    let mut tokens = Vec::new();
    while let Some(first) = lexer.rest().chars().next() {
        if first.is_whitespace() {
            lexer.at += first.len_utf8();
            continue;
        }
        let from = lexer.at;
        if let Some(token) = lexer.token(first) {
            tokens.push((token, from..lexer.at));
        }
    }
    tokens.push((Token::End, text.len()..text.len()));
    tokens
}

struct Lexer<'t, 'f> {
    text: &'t str,
    at: usize,
    faults: &'f mut Vec<Fault>,
}

impl<'t> Lexer<'t, '_> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn fault(&mut self, from: usize, message: impl Into<String>, hint: impl Into<String>) {
        self.faults.push(Fault::new(message).hint(hint).at(from..self.at));
    }

    /// Takes letters as long as they are of a kind.
    fn take(&mut self, belongs: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let end = rest.find(|letter| !belongs(letter)).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    fn token(&mut self, first: char) -> Option<Token> {
        let from = self.at;
        if first.is_ascii_alphabetic() || first == '_' {
            return Some(word(self.take(|letter| letter.is_ascii_alphanumeric() || "_.-".contains(letter))));
        }
        if first.is_ascii_digit() {
            return Some(self.number());
        }
        if first == '"' || first == '\'' {
            return Some(self.text(first));
        }
        if let Some((_, end)) = CURLY.iter().find(|(open, _)| *open == first) {
            self.at += first.len_utf8();
            let text = self.take(|letter| letter != *end && letter != '"').to_owned();
            self.at += self.rest().chars().next().map_or(0, char::len_utf8);
            self.fault(from, "these are not straight quotes", format!("write `\"{text}\"`"));
            return Some(Token::Text(text));
        }
        if let Some((sign, token)) = SIGNS.iter().find(|(sign, _)| self.rest().starts_with(sign)) {
            self.at += sign.len();
            if *sign == "=" {
                self.fault(from, "`=` does not compare", "write `==`");
            }
            return Some(token.clone());
        }
        self.at += first.len_utf8();
        let hint = match first {
            '&' => "write `and`",
            '|' => "write `or`",
            '$' => "amounts are US dollars: write the number alone",
            '%' => "write a share as a number, as in `0.8`",
            '+' | '-' | '*' | '/' => "conditions compare and do not calculate",
            '≥' => "write `>=`",
            '≤' => "write `<=`",
            '≠' => "write `!=`",
            _ => "texts stand in quotes",
        };
        self.fault(from, format!("`{}` means nothing here", first.escape_debug()), hint);
        match first {
            '&' => Some(Token::And),
            '|' => Some(Token::Or),
            '≥' => Some(Token::Order(Order::AtLeast)),
            '≤' => Some(Token::Order(Order::AtMost)),
            '≠' => Some(Token::Order(Order::Unequal)),
            _ => None,
        }
    }

    fn number(&mut self) -> Token {
        let from = self.at;
        let written = self.take(|letter| letter.is_ascii_alphanumeric() || letter == '_' || letter == '.');
        let digits = |letter: char| letter.is_ascii_digit() || letter == '_' || letter == '.';
        let split = written.find(|letter| !digits(letter)).unwrap_or(written.len());
        let (number, unit) = written.split_at(split);
        let plain: String = number.chars().filter(|letter| *letter != '_').collect();
        let is_one = plain.ends_with(|last: char| last.is_ascii_digit()) && !number.contains("__");
        // An integer before the suffix keeps `0.1m` exact: 0.1 × 10^6 is rounded once, by the parser.
        let scaled = |power: u32| format!("{plain}e{power}").parse::<f64>().ok();
        let value = match unit {
            _ if !is_one => None,
            "" | "ms" => scaled(0),
            "k" | "K" | "s" => scaled(3),
            "m" | "M" => scaled(6),
            _ => None,
        };
        match value.filter(|value| value.is_finite()) {
            Some(value) if matches!(unit, "ms" | "s") => Token::Time(value),
            Some(value) => Token::Number(value),
            None => {
                let hint = "numbers are written as `100000`, `100_000`, `100k`, `1m` or `0.5`, times as `500ms` or `2s`";
                self.fault(from, format!("`{written}` is not a number"), hint);
                Token::Number(0.0)
            }
        }
    }

    fn text(&mut self, quote: char) -> Token {
        let from = self.at;
        self.at += 1;
        let mut text = String::new();
        while let Some(letter) = self.rest().chars().next() {
            self.at += letter.len_utf8();
            if letter == quote {
                return Token::Text(text);
            }
            if letter != '\\' {
                text.push(letter);
                continue;
            }
            let escaped = self.rest().chars().next();
            self.at += escaped.map_or(0, char::len_utf8);
            match escaped {
                Some('n') => text.push('\n'),
                Some('t') => text.push('\t'),
                Some(same @ ('\\' | '"' | '\'')) => text.push(same),
                // Regular expressions are full of these, so they stay as they are written.
                Some(other) => text.extend(['\\', other]),
                None => {}
            }
        }
        self.fault(from, "this text does not end", format!("write `{quote}` behind it"));
        Token::Text(text)
    }
}

/// A word of the language, in any case, or a name.
fn word(text: &str) -> Token {
    // Letter case: `AND` is how SQL writes it, `True` how Python does.
    match text.to_ascii_lowercase().as_str() {
        "and" => Token::And,
        "or" => Token::Or,
        "not" => Token::Not,
        "in" => Token::In,
        "matches" => Token::Matches,
        "contains" => Token::Contains,
        "true" => Token::Truth(true),
        "false" => Token::Truth(false),
        _ => Token::Name(text.to_owned()),
    }
}

//! From tokens to a tree, without a look at what the names mean.

use super::lex::{Order, Token, tokens};
use super::{Fault, Span};

/// How deep parentheses and `not` may be nested.
const MAX_DEPTH: usize = 32;

/// A condition as it is written.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Tree {
    /// All of these hold.
    All(Vec<Self>),
    /// One of these holds.
    Any(Vec<Self>),
    Not(Box<Self>),
    Compared {
        left: Operand,
        how: How,
        right: Operand,
    },
    /// A name alone, which must be a yes or no.
    Alone(Operand),
    /// What was wrong, and said to be so.
    Bad,
}

/// What stands between two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    Order(Order),
    In,
    NotIn,
    Matches,
    Contains,
}

/// What a comparison compares.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Operand {
    pub(super) is: Value,
    pub(super) span: Span,
}

/// What an operand is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Name(String),
    Number(f64),
    /// Milliseconds.
    Time(f64),
    Text(String),
    Truth(bool),
    List(Vec<Operand>),
    Bad,
}

/// The tree of a text. What is wrong is noted, and the rest read on.
pub(super) fn parse(text: &str, faults: &mut Vec<Fault>) -> Tree {
    let tokens = tokens(text, faults);
    let mut parser = Parser { text, tokens, at: 0, depth: 0, faults };
    let mut whole = vec![parser.any()];
    while *parser.peek() != Token::End {
        let before = parser.at;
        let goes_on = parser.superfluous();
        if !goes_on && *parser.peek() == Token::End {
            return Tree::Bad;
        }
        whole.push(parser.any());
        // Nothing can begin here, so nothing was taken: on behind it.
        parser.at += usize::from(parser.at == before);
    }
    joined(whole, Tree::All)
}

/// One alone is itself.
fn joined(mut parts: Vec<Tree>, join: impl Fn(Vec<Tree>) -> Tree) -> Tree {
    if parts.len() > 1 { join(parts) } else { parts.pop().unwrap_or(Tree::Bad) }
}

struct Parser<'t, 'f> {
    text: &'t str,
    tokens: Vec<(Token, Span)>,
    at: usize,
    depth: usize,
    faults: &'f mut Vec<Fault>,
}

impl Parser<'_, '_> {
    fn peek(&self) -> &Token {
        self.tokens.get(self.at).map_or(&Token::End, |(token, _)| token)
    }

    fn span(&self) -> Span {
        self.tokens.get(self.at).map_or(self.text.len()..self.text.len(), |(_, span)| span.clone())
    }

    fn next(&mut self) -> (Token, Span) {
        let next = (self.peek().clone(), self.span());
        self.at += 1;
        next
    }

    fn takes(&mut self, token: &Token) -> bool {
        let found = self.peek() == token;
        self.at += usize::from(found);
        found
    }

    fn fault(&mut self, span: Span, message: impl Into<String>, hint: impl Into<String>) {
        self.faults.push(Fault::new(message).hint(hint).at(span));
    }

    /// A piece of the text, for messages.
    fn shown(&self, span: &Span) -> String {
        match self.text.get(span.clone()) {
            None | Some("") => "the end".to_owned(),
            Some(text) => format!("`{text}`"),
        }
    }

    /// Something stands behind a whole condition; whether another one surely follows.
    fn superfluous(&mut self) -> bool {
        let after_number =
            self.at.checked_sub(1).is_some_and(|at| matches!(self.tokens[at].0, Token::Number(_)));
        let (token, span) = (self.peek().clone(), self.span());
        let shown = self.shown(&span);
        match token {
            Token::Close => self.fault(span, "nothing is open that `)` could close", "leave it out"),
            Token::Comma if after_number => {
                self.fault(span, "`,` means nothing within a number", "write `100_000`, or `100k`");
            }
            Token::Order(order) => self.fault(
                span,
                format!("one comparison goes on into another at `{}`", order.as_str()),
                "write both, with `and` between them",
            ),
            _ => {
                self.fault(
                    span,
                    format!("{shown} is not expected here"),
                    "write `and` or `or` between two conditions",
                );
                return true;
            }
        }
        self.at += 1;
        if matches!(token, Token::Comma | Token::Order(_)) {
            // What follows was a part of the same comparison.
            self.operand();
        }
        // What is good goes on behind it.
        self.takes(&Token::And) || self.takes(&Token::Or)
    }

    fn any(&mut self) -> Tree {
        let mut parts = vec![self.all()];
        while self.takes(&Token::Or) {
            parts.push(self.all());
        }
        joined(parts, Tree::Any)
    }

    fn all(&mut self) -> Tree {
        let mut parts = vec![self.one()];
        while self.takes(&Token::And) {
            parts.push(self.one());
        }
        joined(parts, Tree::All)
    }

    fn one(&mut self) -> Tree {
        let is_group = matches!(self.peek(), Token::Not | Token::Open);
        if !is_group {
            return self.comparison();
        }
        let (token, span) = self.next();
        if self.depth == MAX_DEPTH {
            self.fault(
                span,
                format!("conditions are nested more than {MAX_DEPTH} deep"),
                "write several rules",
            );
            // Whatever else is wrong behind this would be wrong because of it.
            self.at = self.tokens.len();
            return Tree::Bad;
        }
        self.depth += 1;
        let tree = if token == Token::Not { Tree::Not(Box::new(self.one())) } else { self.group(span) };
        self.depth -= 1;
        tree
    }

    /// What stands behind `(`.
    fn group(&mut self, open: Span) -> Tree {
        let inner = self.any();
        if !self.takes(&Token::Close) {
            if self.at >= self.tokens.len() {
                // What was too deep, or did not end, is said.
            } else if *self.peek() == Token::End {
                self.fault(open, "this `(` is not closed", "write `)` behind the condition");
            } else {
                if self.superfluous() || *self.peek() != Token::End {
                    self.any();
                }
                self.takes(&Token::Close);
            }
            return Tree::Bad;
        }
        if let Some((_, how)) = self.how() {
            self.fault(how, "a condition cannot be compared", "compare names with values");
            self.operand();
            return Tree::Bad;
        }
        inner
    }

    fn comparison(&mut self) -> Tree {
        let left = self.operand();
        let Some((how, _)) = self.how() else {
            return if left.is == Value::Bad { Tree::Bad } else { Tree::Alone(left) };
        };
        let right = self.operand();
        Tree::Compared { left, how, right }
    }

    fn how(&mut self) -> Option<(How, Span)> {
        let span = self.span();
        let second = self.tokens.get(self.at + 1).map(|(token, _)| token);
        let (how, length) = match (self.peek(), second) {
            (Token::Order(order), _) => (How::Order(*order), 1),
            (Token::In, _) => (How::In, 1),
            (Token::Not, Some(Token::In)) => (How::NotIn, 2),
            (Token::Matches, _) => (How::Matches, 1),
            (Token::Contains, _) => (How::Contains, 1),
            _ => return None,
        };
        self.at += length;
        Some((how, span))
    }

    fn operand(&mut self) -> Operand {
        let span = self.span();
        let is = match self.peek().clone() {
            Token::Name(name) => Value::Name(name),
            Token::Number(number) => Value::Number(number),
            Token::Time(ms) => Value::Time(ms),
            Token::Text(text) => Value::Text(text),
            Token::Truth(truth) => Value::Truth(truth),
            Token::ListOpen => return self.list(),
            token => {
                let shown = self.shown(&span);
                self.fault(
                    span.clone(),
                    format!("a name or a value is missing before {shown}"),
                    "a condition is written as `context_length > 100000`",
                );
                // What may begin or end something stays, for whoever waits for it.
                if matches!(token, Token::Order(_) | Token::Matches | Token::Contains | Token::Comma) {
                    self.at += 1;
                }
                return Operand { is: Value::Bad, span };
            }
        };
        self.at += 1;
        Operand { is, span }
    }

    fn list(&mut self) -> Operand {
        let (_, open) = self.next();
        let mut items = Vec::new();
        while !matches!(self.peek(), Token::ListClose | Token::End) {
            if *self.peek() == Token::ListOpen {
                let span = self.span();
                self.fault(span, "a list cannot hold a list", "write one list");
                self.at += 1;
                continue;
            }
            let before = self.at;
            items.push(self.operand());
            if !self.takes(&Token::Comma) && *self.peek() != Token::ListClose {
                break;
            }
            if self.at == before {
                break;
            }
        }
        let span = open.start..self.span().end;
        if self.takes(&Token::ListClose) {
            return Operand { is: Value::List(items), span };
        }
        self.fault(open, "this list does not end", "write it as `[\"a\", \"b\"]`");
        // Up to its end, if there is one, nothing else can be told.
        while !matches!(self.next().0, Token::ListClose | Token::End) {}
        Operand { is: Value::Bad, span }
    }
}

//! AWS's credentials file: sections of a profile each, with a key in it.
//!
//! Source: <https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-files.html>. Of what may stand there only
//! keys are read. Roles, logins by SSO and programs that print a key would need calls to other services.

use nova_upstream::AwsKey;

/// The key of a profile; `None` where it is not there, or has none.
pub(super) fn key<'t>(text: &'t str, profile: &str) -> Option<AwsKey<'t>> {
    let mut inside = false;
    let (mut access, mut secret, mut session) = (None, None, None);
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            inside = name.trim() == profile;
            continue;
        }
        let Some((name, value)) = line.split_once('=').filter(|_| inside && !line.starts_with(['#', ';']))
        else {
            continue;
        };
        let value = Some(value.trim()).filter(|value| !value.is_empty());
        match name.trim() {
            "aws_access_key_id" => access = value,
            "aws_secret_access_key" => secret = value,
            "aws_session_token" => session = value,
            _ => {}
        }
    }
    Some(AwsKey { access_key_id: access?, secret_access_key: secret?, session_token: session })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# mine
[default]
aws_access_key_id = AKIADEFAULT
aws_secret_access_key=one+/=

[ work ]
aws_access_key_id=AKIAWORK
; aws_secret_access_key = old
aws_secret_access_key = two
aws_session_token = t==
[role]
role_arn = arn:aws:iam::1:role/r
[half]
aws_access_key_id = AKIAHALF
";

    #[test]
    fn a_profile_has_a_key_or_none() {
        let check = |profile: &str, expected: Option<(&str, &str, Option<&str>)>| {
            let found = key(FILE, profile);
            let found = found.map(|key| (key.access_key_id, key.secret_access_key, key.session_token));
            assert_eq!(found, expected, "{profile}");
        };
        check("default", Some(("AKIADEFAULT", "one+/=", None)));
        check("work", Some(("AKIAWORK", "two", Some("t=="))));
        check("role", None);
        check("half", None);
        check("absent", None);
    }
}

//! What of a request would be lost at a deployment, for requests that demand that nothing is
//! (`provider.require_parameters`): the request is written as that deployment would get it, and nothing is sent.

use nova_wire::hub::past::Past;
use nova_wire::translate::{self, Target};

use super::facts::Asking;
use crate::snapshot::Deployment;

/// A request of which nothing may be lost.
#[derive(Clone, Copy, Debug)]
pub struct Demands<'a>(&'a Asking<'a>);

impl<'a> Demands<'a> {
    /// The demands of a request that has some.
    pub(super) fn of(asking: &'a Asking<'a>) -> Option<Self> {
        let preferences = &asking.controls?.provider;
        (preferences.require_parameters == Some(true)).then_some(Self(asking))
    }

    /// The fields that a deployment would not be told. Where the request cannot be put to it at all, that is for the
    /// attempt to say.
    pub(crate) fn lost(&self, deployment: &Deployment) -> Vec<String> {
        let Asking { dialect, body, peek, .. } = *self.0;
        let mount = deployment.mount_for(dialect);
        let target = Target {
            dialect: mount.dialect,
            model: &deployment.upstream_model,
            quirks: &mount.quirks,
            max_output: deployment.max_output,
        };
        let past = Past { provider: &deployment.provider, recall: None };
        let written = translate::request_after(dialect, body, peek, &target, &past);
        written.map(|outbound| outbound.dropped).unwrap_or_default()
    }
}

//! The interface that every provider plugin implements.

use crate::{
    AppVersionId, Archive, Change, Cluster, ClusterDetails, ClusterId, ClusterSpec, Fact, Facts, Handle,
    Look, Observation, Plan, Progress, Result, RuntimeFacts, Secret, SecretRef, Started, Subnet, SubnetQuery,
    TaggedResource, Task, TaskContext, Vpc, VpcId, Zone,
};
use async_trait::async_trait;
use serde_json::Value;
use std::collections::BTreeSet;

/// Everything that Pitrix asks of a provider. Plugins for clouds of virtual machines implement
/// [`ProviderHandlerInterface`](crate::ProviderHandlerInterface) and [`VmCloud`](crate::VmCloud) instead, and
/// get this from the frame handler.
///
/// Parsing and splitting are synchronous and pure. Whatever takes a [`Look`] changes nothing at the provider.
#[async_trait]
pub trait ProviderInterface: Send + Sync + 'static {
    /// Turns a package and the operator's answers into the wanted cluster. Pure.
    ///
    /// # Errors
    /// `Invalid`, naming file, line, key path, rule and allowed values.
    #[doc(alias = "ParseClusterConf")]
    fn parse_cluster_conf(&self, request: &ParseRequest<'_>) -> Result<ParsedCluster>;

    /// Turns a change into the plan that brings it about. Pure: what it may know of the outside is in `facts`.
    ///
    /// # Errors
    /// `Unsupported` for an action that the provider lacks; `Quota` or `Invalid` when `facts` has shortfalls.
    #[doc(alias = "SplitJobIntoTasks")]
    fn split_job_into_tasks(&self, change: &Change, facts: Facts) -> Result<Plan>;

    /// Starts a cloud task. A deterministic function of the task, the record and the replies of its calls: it
    /// runs again after a crash or a pause, with applied calls answered from the ledger, and must come to the
    /// same result.
    ///
    /// # Errors
    /// The kind decides whether it is tried again.
    #[doc(alias = "HandleSubtask")]
    async fn handle_subtask(&self, cx: &TaskContext, task: &Task) -> Result<Started<Fact>>;

    /// Looks once how far a started task is. Never blocks for long, may be repeated and dropped at any point.
    ///
    /// # Errors
    /// An error ends the task unless its kind says to try again; what is just not there yet is `Pending`.
    #[doc(alias = "WaitSubtask")]
    async fn wait_subtask(&self, cx: &Look, task: &Task, at: &Handle) -> Result<Progress<Fact>>;

    /// Lists the subnets that nodes can be put in; empty where the provider has no networks.
    #[doc(alias = "DescribeSubnets")]
    async fn describe_subnets(&self, cx: &Look, query: &SubnetQuery) -> Result<Vec<Subnet>>;

    /// Finds a network.
    #[doc(alias = "DescribeVpc")]
    async fn describe_vpc(&self, cx: &Look, id: &VpcId) -> Result<Option<Vpc>>;

    /// Finds out what a change needs and whether it can be had. What can't is a shortfall in the result, all
    /// of them at once; an error means that the check itself failed.
    #[doc(alias = "CheckResource")]
    async fn check_resource(&self, cx: &Look, change: &Change) -> Result<Facts>;

    /// Checks that the credential works, and what it can reach.
    ///
    /// # Errors
    /// `Unauthorized` when it does not, `Invalid` when the runtime's settings can't be right.
    #[doc(alias = "ValidateCredential")]
    async fn validate_credential(&self, cx: &Look) -> Result<RuntimeFacts>;

    /// Lists the zones that a runtime with this endpoint and credential can be in.
    #[doc(alias = "DescribeRuntimeProviderZones")]
    async fn describe_runtime_provider_zones(&self, cx: &Look) -> Result<BTreeSet<Zone>>;

    /// Looks at a cluster's resources and tells what is there.
    #[doc(alias = "UpdateClusterStatus")]
    async fn update_cluster_status(&self, cx: &Look, cluster: &Cluster) -> Result<Vec<Observation>>;

    /// Live details about a cluster, for people.
    #[doc(alias = "DescribeClusterDetails")]
    async fn describe_cluster_details(&self, cx: &Look, cluster: &Cluster) -> Result<ClusterDetails>;
}

/// Lists what carries our tags at a provider, so that what no cluster owns can be found.
#[async_trait]
pub trait Sweeper: Send + Sync + 'static {
    /// Every resource of this deployment in the runtime, paged to the end.
    async fn tagged(&self, cx: &Look) -> Result<Vec<TaggedResource>>;
}

/// What `parse_cluster_conf` gets.
#[derive(Clone)]
pub struct ParseRequest<'a> {
    /// The cluster that the result is for; its secrets are named after it.
    pub cluster: &'a ClusterId,
    /// What the operator calls it, where that was said apart from the answers.
    pub name: Option<&'a str>,
    /// The app version.
    pub app: &'a AppVersionId,
    /// Its package.
    pub package: &'a Archive,
    /// The operator's answers, an object.
    pub conf: &'a Value,
    /// The cluster on record when an existing one changes; none for a new one.
    pub existing: Option<&'a Cluster>,
    /// What is stored for the existing cluster; empty for a new one.
    pub secrets: &'a [(SecretRef, Secret)],
    /// A fresh secret of 64 hexadecimal digits, another one each time: what a provider makes up comes from it.
    pub seed: &'a Secret,
}

/// What `parse_cluster_conf` gives.
#[derive(Clone)]
pub struct ParsedCluster {
    /// The wanted cluster, without any secret value.
    pub spec: ClusterSpec,
    /// The values of its password items, to be stored encrypted under these references.
    pub secrets: Vec<(SecretRef, Secret)>,
    /// What was understood and has no effect yet, in sentences for the operator.
    pub warnings: Vec<String>,
}

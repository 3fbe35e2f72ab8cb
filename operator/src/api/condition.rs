//! Types and reasons of conditions: closed lists, since alerts and scripts compare them.

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            /// Every one.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The word in the status.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($variant),)*
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// Types of conditions.
    ConditionType {
        /// GitOps may go on, and clients of this cluster may connect.
        Ready,
        /// The running processes run exactly what the object says.
        ConfigApplied,
        /// Messages pass, seen from both ends.
        LinksUp,
        /// The other sites have the same documents.
        PeersInSync,
        /// Certificates are good; absent where there are none.
        TLSValid,
        /// Something deserves a look, though it works.
        Degraded,
        /// Work is under way; there only while it is.
        Reconciling,
        /// Nothing goes on before somebody changes something; there only while it is so.
        Stalled,
        /// Nothing is written because an annotation says so; there only while it is so.
        Paused,
        /// The user is in force at every local site (of a BrokerUser).
        Applied,
    }
}

words! {
    /// Reasons of conditions.
    Reason {
        /// Every local site serves as declared.
        AllSitesReady,
        /// No site of the network is this cluster's.
        NoLocalSite,
        /// Every local site is stopped, as declared.
        Stopped,
        /// A change is under way.
        Progressing,
        /// A broker's pod is not ready.
        PodsNotReady,
        /// The cluster refuses to make a pod.
        PodCreationRefused,
        /// A broker does not run the declared configuration yet.
        ConfigNotApplied,
        /// A load balancer has no address yet.
        AddressPending,
        /// A certificate is bad.
        TLSInvalid,
        /// Links are down and `readiness: AllLinks` counts them.
        LinksDown,
        /// Nothing goes on; see the condition Stalled.
        Stalled,
        /// Nobody has looked yet.
        NotObserved,
        /// A broker does not answer.
        BrokerUnreachable,
        /// It is in force.
        Applied,
        /// It will be in force in a moment.
        Pending,
        /// It should have been in force for more than ten minutes.
        OutOfDate,
        /// The broker refused it.
        Rejected,
        /// Every enabled link is up.
        AllUp,
        /// There are no links.
        NoLinks,
        /// A link has never been up.
        NeverConnected,
        /// A link is down.
        LinkDown,
        /// A link is connected and messages do not pass.
        LinkBlocked,
        /// The other end refuses a link.
        LinkRefused,
        /// The two ends do not agree on a credential.
        AuthFailed,
        /// Every site has the same documents.
        InSync,
        /// There are no other sites.
        NoPeers,
        /// A site has another network.
        SpecDiffers,
        /// A site has other users.
        UsersDiffer,
        /// A site has not reported.
        NoReport,
        /// A site counts its hash in another way.
        AlgorithmDiffers,
        /// Certificates are good.
        Valid,
        /// A certificate ends within 14 days.
        ExpiresSoon,
        /// A certificate has ended.
        Expired,
        /// A certificate is not that of its site.
        NameMismatch,
        /// A certificate ends at no trusted root.
        UntrustedRoot,
        /// Certificate and key do not belong together, or cannot be read.
        PairMalformed,
        /// A site has not been heard of for a while.
        SiteUnreachable,
        /// A site is claimed here and elsewhere.
        DuplicateSite,
        /// A site has other documents for more than five minutes.
        PeersOutOfSync,
        /// A certificate ends within 14 days.
        CertificateExpiresSoon,
        /// Certificates come from the development authority.
        DevelopmentCA,
        /// No end of a link has an address.
        NotDialable,
        /// The graph of the links has a weakness.
        TopologyWarning,
        /// Some users are wrong and left out.
        UserErrors,
        /// An annotation of ours is misspelt, or has no use any more.
        AnnotationIgnored,
        /// The definitions in the cluster are older than the operator.
        CRDOutdated,
        /// All is as it should be.
        AsExpected,
        /// The object was changed.
        NewGeneration,
        /// Brokers are restarted one by one.
        Rolling,
        /// Pods are starting.
        WaitingForPods,
        /// A load balancer has no address yet.
        WaitingForAddress,
        /// A Secret is not there yet.
        WaitingForSecret,
        /// A certificate is not there yet.
        WaitingForCertificate,
        /// A broker has not answered yet.
        WaitingForBroker,
        /// Links have never been up.
        WaitingForLinks,
        /// What an earlier object owned is being removed.
        WaitingForGarbageCollection,
        /// The object is wrong in a way no other reason names.
        SpecInvalid,
        /// Two links join the same sites at the same addresses.
        DuplicatePair,
        /// Two links have one name.
        DuplicateLinkName,
        /// More links than a network or a site may have.
        TooManyLinks,
        /// Two sites have one short id.
        SiteIdCollision,
        /// An override touches what it must not.
        OverrideForbidden,
        /// The rendered files do not fit into a Secret.
        ConfigTooLarge,
        /// The broker's own validator refuses the files.
        ConfigRejected,
        /// A Secret has not been there for ten minutes.
        SecretNotFound,
        /// A Secret lacks a key or holds something unusable.
        SecretMalformed,
        /// A Secret of the name that is needed belongs to somebody else.
        SecretNotOwned,
        /// An object of the name that is needed belongs to somebody else.
        ChildNotOwned,
        /// A ConfigMap or another reference is not there.
        ReferenceNotFound,
        /// The development authority is for one cluster alone.
        DevelopmentCAUnsafe,
        /// A site is no longer claimed while its objects are here.
        SiteRemovalHeld,
        /// The API server forbids something.
        Forbidden,
        /// The annotation `causeway.dev/reconcile: paused` is set.
        PausedByAnnotation,
        /// The user may not log in, as declared.
        Suspended,
        /// There is no network of the name.
        NetworkNotFound,
        /// Another user has the same login name.
        DuplicateUsername,
        /// The user is for a site that the network does not have, and for none of this cluster.
        UnknownSite,
    }
}

words! {
    /// Kinds of Events.
    EventKind {
        /// The sites that this cluster runs are others.
        ActingAs,
        /// A site is made.
        SiteCreated,
        /// A site is no longer this cluster's.
        SiteRemoved,
        /// A broker runs what is declared.
        ConfigApplied,
        /// A broker refuses its files.
        ConfigRejected,
        /// Messages pass over a link.
        LinkUp,
        /// Messages no longer pass over a link.
        LinkDown,
        /// The other end refuses a link, or the ends do not agree on a credential.
        LinkRefused,
        /// A site has other documents for more than five minutes.
        PeerOutOfSync,
        /// Every site has the same documents again.
        PeerInSync,
        /// Brokers are restarted.
        RollStarted,
        /// Every broker that was to be restarted is back.
        RollFinished,
        /// A restart has been waiting for another site for more than five minutes.
        RollHeld,
        /// A link runs with another credential.
        CredentialRotated,
        /// A certificate ends within 14 days.
        CertificateExpiresSoon,
        /// A Secret of the name that is needed belongs to somebody else.
        SecretNotOwned,
        /// The cluster refuses to make a pod.
        PodCreationRefused,
        /// An annotation of ours is misspelt, or has no use any more.
        AnnotationIgnored,
        /// The definitions in the cluster are older than the operator.
        CRDOutdated,
        /// What somebody changed by hand is as declared again.
        Restored,
        /// Nothing goes on before somebody changes something.
        Stalled,
        /// It goes on again.
        Recovered,
    }
}

/// `status` of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Truth {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// Nobody knows.
    Unknown,
}

impl Truth {
    /// The word in the status.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }

    /// A truth value that is known.
    #[must_use]
    pub const fn known(is_true: bool) -> Self {
        if is_true { Self::True } else { Self::False }
    }
}

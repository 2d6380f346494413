//! One node: everything started in the order in which it depends on each other, and stopped in reverse.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use tandem_engine::{EdgeLimits, Engine, EngineConfig, EngineError, EngineHandle, Limits, Probing, Timing};
use tandem_model::clock;
use tandem_model::ports::{Observer, Ports};
use tandem_store::{Reader, Store, StoreError, Writer, WriterConfig};
use thiserror::Error;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admission::{Admission, DEAD_AFTER, HopSigner, Reaper};
use crate::advertised::Advertised;
use crate::api::{self, AppState, Live, Shared};
use crate::api_listener::{self, ApiDoor};
use crate::auth::{Vault, VaultError};
use crate::billing::{self, NumberClerk, NumberTerms, Payments, renew};
use crate::certificate::Certificate;
use crate::config::{CarriersConfig, Config, EdgeConfig, Loaded};
use crate::dev::{Mailbox, catch_mail};
use crate::directory::{Directory, Feed, LoadError, OurHosts};
use crate::egress::{Egress, EgressPolicy, SystemResolver};
use crate::heartbeat;
use crate::kyc::widget::router as kyc_page;
use crate::kyc::{Desk, DeskParts, SubjectBodies, post_of, run_clerk};
use crate::names::{Means, Names, SystemDns, name_servers};
use crate::recordings::{AskedRecordings, Completer, Keeper, Recordings};
use crate::registered_at;
use crate::registrations::StoredRegistrations;
use crate::sounds::{Espeak, SoundLibrary};
use crate::timeline::{Timelines, Unwatched};
use crate::transports::Transports;
use crate::webhooks::{CallDocuments, DeliveryEngine, DocumentFetcher};
use crate::{folder, janitor, reset_page};

/// Orphans' peers get this long to answer before their calls are settled: three sendings of a SIP message.
const FAREWELL: Duration = Duration::from_secs(2);
/// Floods of refusals are written down, and other nodes' calls to carriers counted, this often.
const COUNT: Duration = Duration::from_secs(1);

/// The reaper looks this often.
const REAP: Duration = Duration::from_secs(5);

/// How a node is started besides its configuration.
#[derive(Clone, Debug, Default)]
pub struct NodeOptions {
    /// Development: `GET /` shows calls as they happen.
    pub dev: bool,
    /// A deliberate fault, for the kill loop to find.
    pub fault: Option<String>,
}

/// Why a node did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// An address in the configuration is none.
    #[error("{key} is {value:?}: give an address and a port, such as 127.0.0.1:5060")]
    Address {
        /// Which key.
        key: &'static str,
        /// Its value.
        value: String,
    },
    /// Some other value in the configuration cannot be.
    #[error("{0}")]
    Configuration(String),
    /// A socket could not be had.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Where.
        address: String,
        /// Why.
        source: std::io::Error,
    },
    /// The data folder cannot be used.
    #[error("the data folder {path} cannot be used: {source}")]
    Data {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The master key.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The database.
    #[error("the database: {0}")]
    Store(#[from] StoreError),
    /// The directory could not be read from it.
    #[error("the directory: {0}")]
    Directory(#[from] LoadError),
    /// SIP or RTP.
    #[error("the engine: {0}")]
    Engine(#[from] EngineError),
}

/// A running node.
pub struct Node {
    api_url: String,
    engine: EngineHandle,
    writer: Writer,
    deliveries: TaskTracker,
    delivery_stop: CancellationToken,
    cancel: CancellationToken,
    tasks: TaskTracker,
    fatal: watch::Receiver<Option<String>>,
    certificates: Vec<Arc<Certificate>>,
    _store: Arc<Store>,
}

/// Opens the store that the configuration names.
pub(crate) async fn open_store(config: &Config) -> Result<Store, StartError> {
    if config.database.url.is_empty() {
        Ok(Store::open_sqlite(&config.node.data).await?)
    } else {
        Ok(Store::open_postgres(&config.database.url).await?)
    }
}

/// Makes the folders of a data folder.
pub(crate) fn prepare_data(config: &Config) -> Result<(), StartError> {
    let path = &config.node.data;
    std::fs::create_dir_all(path.join("recordings"))
        .map_err(|source| StartError::Data { path: path.display().to_string(), source })
}

impl Node {
    /// Starts everything; returns once calls and requests are served.
    pub async fn start(loaded: Loaded, options: NodeOptions) -> Result<Self, StartError> {
        let mut config = loaded.config;
        let (cancel, tasks) = (CancellationToken::new(), TaskTracker::new());
        let mailbox = Mailbox::default();
        if options.dev && config.mail.smtp_url.is_empty() {
            let failed =
                |source| StartError::Listen { address: "127.0.0.1 (mail catcher)".to_owned(), source };
            config.mail.smtp_url =
                catch_mail(&tasks, mailbox.clone(), cancel.clone()).await.map_err(failed)?;
            config.mail.from = "Tandem <kyc@tandem.localhost>".to_owned();
        }
        let api_tls = ApiDoor::of(&config, options.dev)?;
        billing::check(&mut config, options.dev).map_err(StartError::Configuration)?;
        let config = Arc::new(config);
        prepare_data(&config)?;
        let vault = Arc::new(Vault::open(&config.node.data.join("master.key"))?);
        let store = Arc::new(open_store(&config).await?);
        let (writer, events) = store.start_writer(writer_config(&config, &options)?).await?;

        let sip_bind = address("sip.listen", &config.sip.listen)?;
        let advertised = Advertised::of(&config.sip.advertise, sip_bind)?;
        let names = advertised.names(sip_bind).into_iter().chain([config.sip.registrar.clone()]).collect();
        let transports = Transports::of(&config.sip, sip_bind, options.dev.then_some(names))?;
        let policy = Arc::new(EgressPolicy { allow: config.webhooks.allow_private.clone() });
        let servers = name_servers(&config.dns.servers).map_err(|text| {
            StartError::Configuration(format!("dns.servers: {text} is no address of a name server"))
        })?;
        let certificate = transports.certificate.clone();
        let names = looked_up(&servers, sip_bind, advertised, &transports)?;
        let directory = Directory::new(our_hosts(&config, sip_bind, advertised), policy.clone(), names);
        tasks.spawn(directory.clone().keep_names(cancel.clone()));
        let feed = Feed::load(directory.clone(), store.reader(), vault.clone()).await?;
        let secrets = Arc::new(directory.clone());

        let timelines = options.dev.then(Timelines::default);
        let observer: Arc<dyn Observer> = match &timelines {
            Some(timelines) => Arc::new(timelines.clone()),
            None => Arc::new(Unwatched),
        };
        let zone = TimeZone::get(&config.billing.webhook_timezone)
            .map_err(|error| StartError::Configuration(format!("billing.webhook_timezone: {error}")))?;
        let resolver = Arc::new(SystemResolver::asking(&servers));
        let egress = Egress::with_resolver(policy.as_ref().clone(), resolver)
            .map_err(|error| StartError::Configuration(format!("outgoing HTTP: {error}")))?;
        let delivery_stop = CancellationToken::new();
        let deliveries = TaskTracker::new();
        let bodies = Arc::new(SubjectBodies { reader: store.reader(), vault: vault.clone() });
        let delivery = DeliveryEngine::new(writer.clone(), egress.clone(), secrets.clone(), observer.clone())
            .opening(bodies)
            .mailing(post_of(&config.mail).map_err(StartError::Configuration)?);
        deliveries.spawn(delivery.run(events, delivery_stop.clone()));
        deliveries.close();
        let hops = HopSigner::new(vault.hop_key());
        let recordings = Recordings::of(&config);
        let admission = Admission::new(
            directory.clone(),
            config.clone(),
            writer.clone(),
            observer.clone(),
            zone,
            hops,
            recordings.clone(),
        );
        let fetcher = DocumentFetcher::new(egress.clone(), secrets);
        let ports = Ports {
            directory: Arc::new(directory.clone()),
            admission: Arc::new(admission.clone()),
            documents: Arc::new(CallDocuments::new(fetcher, writer.clone(), observer.clone())),
            sounds: Arc::new(SoundLibrary::new(
                &config.node.data,
                Arc::new(Espeak::at(&config.speech.espeak)),
                egress.clone(),
            )),
            recordings: Arc::new(AskedRecordings {
                recordings: recordings.clone(),
                admission: admission.clone(),
                writer: writer.clone(),
            }),
            registrations: Arc::new(StoredRegistrations::new(store.reader(), writer.clone())),
            observer,
        };
        // Calls of the process before this one still take their carriers' channels: known before the first new call.
        count_carriers(&store.reader(), &writer, &admission).await;
        let engine_config = EngineConfig {
            tcp_bind: transports.tcp,
            tls: transports.tls,
            probing: probing(&config.carriers),
            ..engine_config(&config, sip_bind, advertised, &vault, &writer)
        };
        let engine = Engine::start(engine_config, ports).await?;

        let (fail, fatal) = watch::channel(None);
        let reaper = Reaper::new(store.reader(), admission.clone());
        tasks.spawn(reap(reaper, directory.clone(), engine.clone(), cancel.clone()));
        tasks.spawn(heartbeat::beat(writer.clone(), fail, cancel.clone()));
        tasks.spawn(keep_count(store.reader(), writer.clone(), admission.clone(), cancel.clone()));
        tasks.spawn(registered_at::follow(directory.clone(), engine.clone(), cancel.clone()));
        if let Some(certificate) = &certificate {
            tasks.spawn(Arc::clone(certificate).follow(cancel.clone()));
        }
        let nudge = feed.nudge();
        tasks.spawn(feed.follow(cancel.clone()));

        let listener = TcpListener::bind(&config.api.listen)
            .await
            .map_err(|source| StartError::Listen { address: config.api.listen.clone(), source })?;
        let bound = listener
            .local_addr()
            .map_err(|source| StartError::Listen { address: config.api.listen.clone(), source })?;
        let api_url = if config.api.public_url.is_empty() {
            format!("{}://{bound}", if api_tls.certificate.is_some() { "https" } else { "http" })
        } else {
            config.api.public_url.clone()
        };
        recordings.served_at(&api_url);
        let payments = Payments::of(&config.payments, &api_url, Some(egress.clone()))
            .map_err(StartError::Configuration)?;
        tasks.spawn(renew(store.reader(), writer.clone(), cancel.clone()));
        let terms = NumberTerms::of(&config.numbers).map_err(StartError::Configuration)?;
        let clerk = NumberClerk { reader: store.reader(), writer: writer.clone(), terms };
        tasks.spawn(clerk.run(cancel.clone()));
        let kyc = Desk::new(DeskParts {
            config: config.clone(),
            vault: vault.clone(),
            reader: store.reader(),
            writer: writer.clone(),
            scrubber: store.scrubber(),
            api_url: api_url.clone(),
            egress: Some(egress),
        });
        let kyc = kyc.map_err(StartError::Configuration)?;
        tasks.spawn(run_clerk(kyc.clone(), cancel.clone()));
        let state = AppState::new(Shared {
            config: config.clone(),
            vault,
            kyc: kyc.clone(),
            payments,
            recordings: recordings.clone(),
            api_url: api_url.clone(),
            reader: store.reader(),
            writer: writer.clone(),
            directory,
            live: Some(Live {
                admission,
                engine: engine.clone(),
                waiting: api::WaitingCalls::default(),
                certificate: certificate.clone(),
            }),
            timelines,
            nudge,
        });
        let mut routes = kyc_page(kyc, reset_page::router(state.clone(), api::router(state.clone())));
        tasks.spawn(janitor::run(writer.clone(), config.webhooks.kept_days, cancel.clone()));
        tasks.spawn(folder::run(store.reader(), writer.clone(), cancel.clone()));
        let completer =
            Completer { recordings: recordings.clone(), reader: store.reader(), writer: writer.clone() };
        let keeper = Keeper {
            recordings,
            reader: store.reader(),
            writer: writer.clone(),
            retention_days: config.recordings.retention_days,
        };
        tasks.spawn(keeper.run(cancel.clone()));
        tasks.spawn(completer.run(cancel.clone()));
        if options.dev {
            routes = crate::dev::router(state.clone(), mailbox).merge(routes);
        }
        api_listener::serve(&tasks, listener, api_tls.server, routes, cancel.clone());
        if let Some(certificate) = &api_tls.certificate {
            tasks.spawn(Arc::clone(certificate).follow(cancel.clone()));
        }
        if let Some(acme) = api_tls.acme {
            tasks.spawn(acme.keep(cancel.clone()));
        }
        if !config.api.redirect_listen.is_empty() {
            let listener = TcpListener::bind(&config.api.redirect_listen).await.map_err(|source| {
                StartError::Listen { address: config.api.redirect_listen.clone(), source }
            })?;
            let elsewhere = api_listener::redirecting(api_url.clone());
            api_listener::serve(&tasks, listener, None, elsewhere, cancel.clone());
        }
        if !config.metrics.listen.is_empty() {
            let place = address("metrics.listen", &config.metrics.listen)?;
            let listener = TcpListener::bind(place)
                .await
                .map_err(|source| StartError::Listen { address: config.metrics.listen.clone(), source })?;
            let metrics = crate::operator::metrics_routes(state.clone());
            api_listener::serve(&tasks, listener, None, metrics, cancel.clone());
        }
        let socket = config.node.data.join("admin.sock");
        serve_admin(&tasks, &socket, crate::operator::router(state), cancel.clone())?;
        Ok(Self {
            api_url,
            engine,
            writer,
            deliveries,
            delivery_stop,
            cancel,
            tasks,
            fatal,
            certificates: [certificate, api_tls.certificate].into_iter().flatten().collect(),
            _store: store,
        })
    }

    /// How clients reach the API.
    pub fn api_url(&self) -> &str {
        &self.api_url
    }

    /// Where SIP is served.
    pub fn sip_addr(&self) -> SocketAddr {
        self.engine.sip_addr()
    }

    /// Where SIP over TCP is served, if it is.
    pub fn sip_tcp_addr(&self) -> Option<SocketAddr> {
        self.engine.tcp_addr()
    }

    /// Where SIP over TLS is served, if it is.
    pub fn sip_tls_addr(&self) -> Option<SocketAddr> {
        self.engine.tls_addr()
    }

    /// Reads the certificates of SIP over TLS and of the API again; what is wrong with one is logged, and the old one stays.
    pub fn renew_certificate(&self) {
        for certificate in &self.certificates {
            let _ = certificate.renew();
        }
    }

    /// Waits until the node cannot go on: another process took its name over, or the disk is gone.
    pub async fn failed(&self) -> String {
        let mut fatal = self.fatal.clone();
        match fatal.wait_for(Option::is_some).await {
            Ok(words) => words.clone().unwrap_or_default(),
            Err(_) => "its heartbeat task ended".to_owned(),
        }
    }

    /// Refuses new calls, gives live ones `drain`, ends the rest, delivers what is at hand, stops.
    pub async fn shutdown(self, drain: Duration) {
        self.engine.drain(drain).await;
        self.engine.shutdown().await;
        self.cancel.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.delivery_stop.cancel();
        self.deliveries.wait().await;
        self.writer.shutdown().await;
    }
}

/// The first sweep comes at once: people at both ends of an orphan wait in silence.
async fn reap(reaper: Reaper, directory: Directory, engine: EngineHandle, cancel: CancellationToken) {
    loop {
        match reaper.find().await {
            Ok(calls) if calls.is_empty() => {}
            Ok(calls) => {
                let orphans = calls.iter().map(tandem_store::calls::LiveCall::orphan).collect();
                let credentials = calls.iter().filter_map(|call| {
                    let carrier = directory.carrier(call.call.carrier?)?;
                    Some((call.call.call, carrier.credentials()?))
                });
                let said = engine.end_orphans(orphans, credentials.collect()).await;
                // Until their peers had time to answer, the rows stay: should this process die too, the next one says it again.
                tokio::select! {
                    () = cancel.cancelled() => {}
                    () = tokio::time::sleep(FAREWELL) => {}
                }
                match reaper.settle(calls).await {
                    Ok(settled) => tracing::info!(
                        settled,
                        dialogs_ended = said,
                        "calls of a process that is gone are settled"
                    ),
                    Err(error) => {
                        tracing::error!(%error, "orphaned calls could not be settled; trying again")
                    }
                }
            }
            Err(error) => tracing::error!(%error, "orphaned calls could not be looked for"),
        }
        tokio::select! {
            () = cancel.cancelled() => return,
            () = tokio::time::sleep(REAP) => {}
        }
    }
}

/// Every second: what floods of refusals came to, and the live calls of other processes to carriers that limit theirs.
async fn keep_count(reader: Reader, writer: Writer, admission: Admission, cancel: CancellationToken) {
    loop {
        let ending = tokio::select! {
            () = cancel.cancelled() => true,
            () = tokio::time::sleep(COUNT) => false,
        };
        admission.write_counted_refusals().await;
        if ending {
            return;
        }
        count_carriers(&reader, &writer, &admission).await;
    }
}

async fn count_carriers(reader: &Reader, writer: &Writer, admission: &Admission) {
    if !admission.limits_carriers() {
        return;
    }
    match reader.nodes().await {
        Ok(nodes) => {
            let now = clock::wall();
            let silence = SignedDuration::try_from(DEAD_AFTER).unwrap_or(SignedDuration::from_secs(15));
            let lives = |heard: Timestamp| now.duration_since(heard) < silence;
            let alive = nodes.iter().filter(|node| lives(node.heartbeat_at)).count();
            admission.nodes_alive(u32::try_from(alive).unwrap_or(u32::MAX));
        }
        Err(error) => tracing::warn!(%error, "the nodes could not be counted; the last count stands"),
    }
    match reader.live_calls_to_carriers(writer.node()).await {
        Ok(counts) => admission.carriers_elsewhere(&counts.into_iter().collect()),
        Err(error) => {
            tracing::warn!(%error, "other nodes' calls to carriers could not be counted; the last count stands")
        }
    }
}

/// The operator's door: only this machine's owner of the data folder gets through its permissions.
fn serve_admin(
    tasks: &TaskTracker,
    socket: &std::path::Path,
    router: axum::Router,
    cancel: CancellationToken,
) -> Result<(), StartError> {
    use std::os::unix::fs::PermissionsExt as _;
    let failed = |source| StartError::Listen { address: socket.display().to_string(), source };
    if socket.exists() {
        std::fs::remove_file(socket).map_err(failed)?;
    }
    let listener = UnixListener::bind(socket).map_err(failed)?;
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    tasks.spawn(async move {
        let serve = axum::serve(listener, router.into_make_service());
        if let Err(error) = serve.with_graceful_shutdown(async move { cancel.cancelled().await }).await {
            tracing::error!(%error, "the admin socket stopped");
        }
    });
    Ok(())
}

fn writer_config(config: &Config, options: &NodeOptions) -> Result<WriterConfig, StartError> {
    let writer = WriterConfig::for_node(&config.node.name, clock::wall());
    match &options.fault {
        None => Ok(writer),
        #[cfg(feature = "planted-faults")]
        Some(fault) => {
            let planted =
                fault.parse().map_err(|_| StartError::Configuration(format!("no such fault: {fault}")))?;
            Ok(WriterConfig { fault: Some(planted), ..writer })
        }
        #[cfg(not(feature = "planted-faults"))]
        Some(_) => Err(StartError::Configuration(
            "--fault needs a binary built with --features planted-faults".to_owned(),
        )),
    }
}

/// An address of the configuration.
pub(crate) fn address(key: &'static str, value: &str) -> Result<SocketAddr, StartError> {
    let refused = || StartError::Address { key, value: value.to_owned() };
    value.to_socket_addrs().map_err(|_| refused())?.next().ok_or_else(refused)
}

fn our_hosts(config: &Config, bind: SocketAddr, advertised: Advertised) -> OurHosts {
    OurHosts {
        trunk_domain: config.sip.domain.to_ascii_lowercase(),
        registrar: config.sip.registrar.to_ascii_lowercase(),
        application_domain: config.sip.application_domain.to_ascii_lowercase(),
        addresses: advertised.names(bind),
    }
}

/// Who answers for names, and what answers are of use here.
fn looked_up(
    servers: &[SocketAddr],
    bind: SocketAddr,
    advertised: Advertised,
    transports: &Transports,
) -> Result<Names, StartError> {
    let dns = SystemDns::asking(servers).map_err(|error| {
        StartError::Configuration(format!("the system's name servers: {error}; set dns.servers"))
    })?;
    let means = Means {
        v4: advertised.ip.is_ipv4(),
        v6: bind.is_ipv6() && (advertised.v6.is_some() || advertised.ip.is_ipv6()),
        tcp: transports.tcp.is_some(),
        tls: transports.tls.is_some(),
    };
    Ok(Names::new(Arc::new(dns), means))
}

fn probing(config: &CarriersConfig) -> Option<Probing> {
    (config.probe_interval_s > 0).then(|| Probing {
        interval: Duration::from_secs(config.probe_interval_s),
        timeout: Duration::from_secs(config.probe_timeout_s.clamp(1, config.probe_interval_s)),
        failures: config.probe_failures.max(1),
    })
}

fn edge_limits(edge: &EdgeConfig) -> EdgeLimits {
    EdgeLimits {
        stranger_rate_per_s: edge.stranger_rate_per_s,
        stranger_burst: edge.stranger_burst,
        strangers_per_s: edge.strangers_per_s,
        proven_rate_per_s: edge.proven_rate_per_s,
        proven_burst: edge.proven_burst,
        answers_per_s: edge.answers_per_s,
        ban_after: edge.ban_after,
        ban_window: Duration::from_secs(edge.ban_window_s),
        ban: Duration::from_secs(edge.ban_s),
        longest_ban: Duration::from_secs(edge.ban_longest_s),
        ..EdgeLimits::default()
    }
}

fn engine_config(
    config: &Config,
    bind: SocketAddr,
    advertised: Advertised,
    vault: &Vault,
    writer: &Writer,
) -> EngineConfig {
    EngineConfig {
        advertised_ip: advertised.ip,
        advertised_v6: advertised.v6,
        hosts: vec![
            config.sip.registrar.to_ascii_lowercase(),
            config.sip.domain.to_ascii_lowercase(),
            config.sip.application_domain.to_ascii_lowercase(),
        ],
        apology: config.speech.apology.clone(),
        rtp_ports: config.rtp.first_port..=config.rtp.last_port,
        rtp_threads: config.rtp.threads,
        generation: writer.node().map_or(0, |node| (node.epoch & 0xffff_ffff) as u32),
        limits: Limits {
            sessions: config.sip.max_sessions,
            wait: Duration::from_millis(config.sip.overload_wait_ms),
            connections: config.sip.max_connections,
            connections_per_source: config.sip.max_connections_per_source,
            ..Limits::default()
        },
        edge: edge_limits(&config.edge),
        timing: Timing {
            ring_timeout: Duration::from_secs(u64::from(config.sip.ring_timeout_s)),
            media_timeout: Duration::from_secs(u64::from(config.sip.media_timeout_s)),
            port_quarantine: Duration::from_secs(config.rtp.quarantine_s),
            t1: Duration::from_millis(u64::from(config.sip.t1_ms.max(10))),
            min_session_expires: Duration::from_secs(u64::from(config.sip.min_session_expires_s)),
            ..Timing::default()
        },
        ..EngineConfig::new(bind, vault.nonce_key())
    }
}

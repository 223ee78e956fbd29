//! `imgsearch serve`.

use std::io::BufRead as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::args::{Global, ServeArgs};
use super::output::shown;
use super::setup::{engine_options, index_dir};
use super::signals::stop_with;
use super::streams::{out, say};
use super::{Outcome, Result, hints, watch};
use crate::serve::{Access, Config, Password, Secret, Server, hash_password};

/// The port, unless another is asked for.
const PORT: u16 = 7878;

/// The minimum length of a token.
const TOKEN_LENGTH: usize = 16;

/// How often the flag that a signal sets is looked at.
const GLANCE: Duration = Duration::from_millis(100);

pub fn run(global: &Global, args: &ServeArgs) -> Result {
    if let Some(file) = &args.new_password {
        return new_password(file);
    }
    let token = token(args)?;
    let config = config(global, args, token.as_deref())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(answer(global, args, config, token.as_deref()))?;
    // A decoder may still be at work, and its result is of no use.
    runtime.shutdown_background();
    Ok(Outcome::Done)
}

/// Answers until a signal comes.
async fn answer(
    global: &Global,
    args: &ServeArgs,
    config: Config,
    token: Option<&str>,
) -> Result<()> {
    let wanted = config.address;
    let server = Server::start(config).await.map_err(|error| {
        format!("cannot listen to {wanted}: {error}; choose another with --port or --bind")
    })?;
    let address = server.address()?;
    if address.port() != wanted.port() && wanted.port() != 0 && !global.quiet {
        say!("port {} is in use", wanted.port());
    }
    let link = link(address, token);
    out!("{link}");
    if !global.quiet {
        say!("Ctrl-C ends the server");
    }
    if args.open
        && let Err(error) = open::that_detached(&link)
    {
        say!("no browser could be started ({error}); open {link}");
    }
    let watcher = match &args.watch {
        Some(paths) => Some(watch::spawn(
            global,
            &args.limits,
            paths.clone(),
            args.poll,
        )?),
        None => None,
    };
    let of_watcher = watcher.as_ref().map(|watcher| watcher.stopper.clone());
    let stop_watcher = move || {
        if let Some(stopper) = &of_watcher {
            stopper.stop();
        }
    };
    let stop = stop_with("ending", stop_watcher.clone())?;
    let stopper = server.stopper();
    let of_signal = stopper.clone();
    let signals = tokio::spawn(async move {
        while !stop.load(Ordering::Relaxed) {
            tokio::time::sleep(GLANCE).await;
        }
        // The server is there as long as it runs.
        let _ = of_signal.send(true);
    });
    let watching = watcher.map(|watcher| {
        tokio::task::spawn_blocking(move || {
            let ended = watcher.thread.join();
            // If it failed, nobody would notice that the index is not up to date.
            let _ = stopper.send(true);
            ended
        })
    });
    server.run().await;
    signals.abort();
    stop_watcher();
    if let Some(watching) = watching {
        match watching.await? {
            Ok(ended) => {
                ended?;
            }
            Err(_) => return Err("the watcher stopped unexpectedly".into()),
        }
    }
    Ok(())
}

/// Returns the address of the page.
fn link(address: SocketAddr, token: Option<&str>) -> String {
    let host = if address.ip().is_unspecified() {
        format!("localhost:{}", address.port())
    } else {
        address.to_string()
    };
    match token {
        Some(token) => {
            let token: String = form_urlencoded::byte_serialize(token.as_bytes()).collect();
            format!("http://{host}/?token={token}")
        }
        None => format!("http://{host}/"),
    }
}

fn config(global: &Global, args: &ServeArgs, token: Option<&str>) -> Result<Config> {
    let is_loopback = args.bind.is_loopback();
    let secret = match (token, &args.password_file) {
        (Some(token), _) => Secret::token(token),
        (None, Some(file)) => Secret::Password(password(file)?),
        (None, None) if is_loopback => Secret::None,
        (None, None) => {
            return Err(format!(
                "--bind {} lets other machines in: say who may look with --token TOKEN or --password-file FILE",
                args.bind
            )
            .into());
        }
    };
    let mut names: Vec<String> = args.name.iter().map(|name| name.to_lowercase()).collect();
    names.push("localhost".to_owned());
    let dir = index_dir(global)?;
    let engine = engine_options(global, Some(&args.limits));
    let index = global.index.clone();
    Ok(Config {
        opening: Box::new(move || {
            let mut options = imgsearch::OpenOptions::default();
            options.engine = engine.clone();
            options
        }),
        hint: Box::new(move |error| hints::hint(error, index.as_deref())),
        access: Access {
            names,
            is_loopback,
            secret,
        },
        address: SocketAddr::new(args.bind, args.port.unwrap_or(PORT)),
        may_move: args.port.is_none(),
        max_thumbnails: args.thumbnails.saturating_mul(1_000_000),
        max_upload: args.max_upload.saturating_mul(1_000_000),
        local: is_loopback && has_desktop(),
        dir,
    })
}

/// Returns the token, from the option or the variable.
fn token(args: &ServeArgs) -> Result<Option<String>> {
    let variable = std::env::var("IMGSEARCH_TOKEN").ok();
    let variable = variable.filter(|token| !token.is_empty() && args.password_file.is_none());
    let Some(token) = args.token.clone().or(variable) else {
        return Ok(None);
    };
    if token.chars().count() < TOKEN_LENGTH || token.contains(|c: char| c.is_control() || c == ';')
    {
        return Err(format!(
            "the token is too easy to guess or has characters that do not fit: use at least {TOKEN_LENGTH} letters and \
             digits"
        )
        .into());
    }
    Ok(Some(token))
}

fn password(file: &Path) -> Result<Password> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    Password::new(text.trim()).map_err(|error| {
        format!(
            "{}: {error}; make it with: imgsearch serve --new-password {}",
            file.display(),
            shown(file)
        )
        .into()
    })
}

/// Reads a password and writes its hash.
fn new_password(file: &Path) -> Result {
    say!("type the password, and Enter:");
    let mut password = String::new();
    std::io::stdin().lock().read_line(&mut password)?;
    let password = password.trim_end_matches(['\r', '\n']);
    if password.chars().count() < 8 {
        return Err("the password is too short: use at least 8 characters".into());
    }
    let hash = hash_password(password)?;
    imgsearch::save(file, format!("{hash}\n").as_bytes())?;
    say!(
        "the hash of the password is in {}",
        shown(&PathBuf::from(file))
    );
    Ok(Outcome::Done)
}

/// Returns whether a person sits at this machine.
fn has_desktop() -> bool {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    cfg!(any(target_os = "macos", windows)) || is_set("DISPLAY") || is_set("WAYLAND_DISPLAY")
}

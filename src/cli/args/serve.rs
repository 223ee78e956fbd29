//! Arguments of `serve`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::numbers::seconds;
use super::shared::LimitArgs;

const ACCESS: &str = "Access";
const WATCHING: &str = "Watching";

#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Port to listen to. If it is in use, the next free one is taken, unless this option names it
    /// [default: 7878]
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,

    /// Open the page in the browser
    #[arg(long)]
    pub open: bool,

    /// Maximum size of an upload in megabytes
    #[arg(long, value_name = "MB", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=4096))]
    pub max_upload: u64,

    /// Maximum size of all thumbnails, which are kept in the folder of the index, in megabytes; the oldest
    /// are deleted first. With 0, none are kept
    #[arg(long, value_name = "MB", default_value_t = 2000)]
    pub thumbnails: u64,

    /// Address to listen to. All but 127.0.0.1 and ::1 let other machines in, and need --token or
    /// --password-file
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1", help_heading = ACCESS)]
    pub bind: IpAddr,

    /// Let in only whoever knows this token, at least 16 characters. The link that is printed has it
    /// [env: IMGSEARCH_TOKEN]
    #[arg(long, value_name = "TOKEN", conflicts_with = "password_file", help_heading = ACCESS)]
    pub token: Option<String>,

    /// Let in only whoever knows the password whose Argon2 hash is in this file. Make it with
    /// --new-password
    #[arg(long, value_name = "FILE", help_heading = ACCESS)]
    pub password_file: Option<PathBuf>,

    /// Read a password from standard input, write its hash to this file, and end
    #[arg(long, value_name = "FILE", help_heading = ACCESS)]
    pub new_password: Option<PathBuf>,

    /// A name by which the server may be called, such as the one of a proxy before it. Can be repeated
    #[arg(long, value_name = "NAME", help_heading = ACCESS)]
    pub name: Vec<String>,

    /// Keep the index up to date meanwhile, as imgsearch watch does: these folders, or those that the
    /// index covers
    #[arg(long, value_name = "PATH", num_args = 0.., help_heading = WATCHING)]
    pub watch: Option<Vec<PathBuf>>,

    /// With --watch: also look at all folders every SECONDS [default: only network disks, every 60]
    #[arg(long, value_name = "SECONDS", value_parser = seconds, requires = "watch", help_heading = WATCHING)]
    pub poll: Option<Duration>,

    #[command(flatten)]
    pub limits: LimitArgs,
}

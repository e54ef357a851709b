"""Tables of what programs do: which only read, with which options, and which destroy."""

# ruff: noqa: SIM905  (tables of words read as words)

from collections.abc import Mapping

HARMLESS = frozenset(
    """: [ arch b2sum basename cal cat cd cksum cmp comm cut df diff dir dirname du echo egrep expand expr factor false
    fgrep fmt fold free getconf grep groups head hexdump id join jq ls lsblk lscpu lsmem lspci lsusb md5sum nl nproc
    numfmt od paste pgrep printenv printf ps pwd readlink realpath rev seq sha1sum sha224sum sha256sum sha384sum
    sha512sum sleep stat strings sum tac tail test tr true tsort type uname unexpand uptime vdir vmstat wc whereis
    which who whoami yes zcat""".split()
)
"""Programs that only read, whatever their options are."""

# Options that make an otherwise reading program write or start others: long ones by name, short ones by letter.
GUARDED: Mapping[str, tuple[tuple[str, ...], str]] = {
    "ag": (("--pager",), ""),
    "column": ((), ""),
    "date": (("--set",), "s"),
    "fd": (("--exec", "--exec-batch"), "xX"),
    "fdfind": (("--exec", "--exec-batch"), "xX"),
    "file": (("--compile",), "C"),
    "journalctl": (
        ("--vacuum-size", "--vacuum-time", "--vacuum-files", "--rotate", "--flush", "--sync", "--setup-keys",
         "--update-catalog", "--cursor-file", "--relinquish-var", "--smart-relinquish-var"),
        "",
    ),
    "lsof": ((), "D"),
    "rg": (("--pre", "--hostname-bin", "--search-zip"), "z"),
    "sort": (("--output", "--compress-program", "--files0-from", "--temporary-directory"), "oT"),
    "tree": (("--output",), "oR"),
    "yq": (("--inplace", "--in-place", "--split-exp", "--split-exp-file"), "is"),
}  # fmt: skip

AT_MOST: Mapping[str, tuple[int, str]] = {"uniq": (1, ""), "xxd": (1, "r"), "hostname": (0, "Fb")}
"""Reading programs that write to one operand more than this, or with one of these short options."""

FIND_WRITES = frozenset("-exec -execdir -ok -okdir -delete -fls -fprint -fprint0 -fprintf".split())

GIT_READS: Mapping[str, tuple[str, ...]] = {
    "blame": (), "cat-file": ("--textconv", "--filters"), "check-ignore": (), "count-objects": (), "describe": (),
    "diff": ("--output", "--ext-diff"), "diff-tree": ("--output", "--ext-diff"), "for-each-ref": (),
    "grep": ("--open-files-in-pager",), "log": ("--output", "--ext-diff"), "ls-files": (), "ls-tree": (),
    "merge-base": (), "name-rev": (), "rev-list": (), "rev-parse": (), "shortlog": ("--output",),
    "show": ("--output", "--ext-diff"), "show-ref": (), "status": (), "version": (), "whatchanged": ("--output",),
}  # fmt: skip
"""Subcommands of git that read, and their options that do more."""

GIT_LISTS: Mapping[str, frozenset[str]] = {
    "branch": frozenset("-a --all -r --remotes -v -vv --verbose --list -l --show-current --no-color".split()),
    "tag": frozenset("-l --list -n --no-color".split()),
    "remote": frozenset("-v --verbose".split()),
    "stash": frozenset("list".split()),
    "worktree": frozenset("list --porcelain".split()),
    "reflog": frozenset("show".split()),
    "config": frozenset("-l --list --show-origin --show-scope --global --local --system".split()),
}
"""Subcommands of git that read as long as all their words are among these."""

GIT_LISTS_ALONE = frozenset("branch tag remote reflog".split())
"""Those of them that read without any word, too."""

READS: Mapping[str, frozenset[str]] = {
    "docker": frozenset("ps images inspect info version logs top port stats events history".split()),
    "podman": frozenset("ps images inspect info version logs top port stats events history".split()),
    "kubectl": frozenset("get describe logs version top explain api-resources api-versions cluster-info".split()),
    "systemctl": frozenset("status is-active is-enabled is-failed list-units list-unit-files show cat".split()),
    "npm": frozenset("ls list outdated root prefix".split()),
    "pip": frozenset("list show freeze check".split()),
    "pip3": frozenset("list show freeze check".split()),
    "go": frozenset("version".split()),
}
"""Programs that only read with one of these as their first word."""

READS_ELSEWHERE = ("--kubeconfig", "-H", "--host", "-M", "--machine", "--python", "--config")
"""Options with which they start a program, or trust a file, that somebody else chose."""

EVALUATES = frozenset("test [ printf".split())
"""Builtins of a shell that run what stands in the subscript of a variable's name."""

VERSIONED = frozenset(
    """bash cargo clang cmake composer deno docker dotnet gcc gem git go helm java javac kubectl lua make mvn node npm
    npx perl php pip pip3 pnpm podman poetry psql pytest python python3 ruby ruff rustc rustup sqlite3 terraform tsc
    uv yarn""".split()
)
"""Programs that may be asked for their version, and nothing else."""

SHELLS = frozenset("sh bash dash zsh ksh mksh ash fish".split())
INTERPRETERS = SHELLS | frozenset("python python2 python3 perl ruby node deno bun php lua osascript pwsh tclsh".split())
DOWNLOADERS = frozenset("curl wget fetch aria2c http https".split())
ESCALATES = frozenset("sudo doas su pkexec run0 sudoedit".split())

QUIET_VARIABLES = frozenset("LANG LANGUAGE TZ NO_COLOR FORCE_COLOR CLICOLOR COLUMNS LINES".split())
"""Variables that change how output looks and nothing else, as do those that begin with LC_."""

# Wrappers run the command that follows them; the options named here take a word of their own.
WRAPPERS: Mapping[str, frozenset[str]] = {
    "builtin": frozenset(),
    "busybox": frozenset(),
    "chroot": frozenset(),
    "command": frozenset(),
    "doas": frozenset(("-u", "-C")),
    "env": frozenset(("-u", "--unset", "-C", "--chdir", "-S")),
    "exec": frozenset(("-a",)),
    "ionice": frozenset(("-c", "-n", "-p")),
    "nice": frozenset(("-n", "--adjustment")),
    "nohup": frozenset(),
    "pkexec": frozenset(("--user",)),
    "run0": frozenset(("-u", "--user")),
    "setsid": frozenset(),
    "stdbuf": frozenset(("-i", "-o", "-e")),
    "sudo": frozenset(("-u", "-g", "-h", "-p", "-C", "-D", "-R", "-T", "-U", "-r", "-t", "--user", "--group")),
    "time": frozenset(("-f", "-o")),
    "timeout": frozenset(("-k", "-s", "--kill-after", "--signal")),
    "watch": frozenset(("-n", "--interval")),
    "xargs": frozenset(("-n", "-I", "-P", "-L", "-s", "-d", "-a", "-E", "--max-args", "--max-procs", "--delimiter")),
}

SAFE_WRAPPERS = frozenset("command nice time timeout xargs".split())
"""Wrappers that add nothing of their own, given no options that do."""

SKIPS = frozenset(("timeout", "chroot"))
"""Wrappers whose first operand is their own."""

# Programs that destroy whatever their words are: category, blast radius, reason.
DESTROYS: Mapping[str, tuple[str, str, str]] = {
    "blkdiscard": ("disk", "high", "erases a disk"),
    "cfdisk": ("disk", "high", "changes partitions"),
    "deluser": ("privilege", "high", "removes a user"),
    "dropdb": ("database", "high", "drops a database"),
    "fdisk": ("disk", "high", "changes partitions"),
    "groupdel": ("privilege", "high", "removes a group"),
    "halt": ("system", "high", "stops the machine"),
    "killall": ("process", "medium", "ends processes by name"),
    "mkswap": ("disk", "high", "formats a disk"),
    "parted": ("disk", "high", "changes partitions"),
    "passwd": ("privilege", "high", "changes a password"),
    "pkill": ("process", "medium", "ends processes by name"),
    "poweroff": ("system", "high", "stops the machine"),
    "reboot": ("system", "high", "restarts the machine"),
    "rmdir": ("deletion", "low", "removes directories"),
    "sfdisk": ("disk", "high", "changes partitions"),
    "shred": ("deletion", "high", "destroys files beyond recovery"),
    "shutdown": ("system", "high", "stops the machine"),
    "srm": ("deletion", "high", "destroys files beyond recovery"),
    "truncate": ("overwrite", "medium", "cuts files off"),
    "unlink": ("deletion", "low", "removes a file"),
    "useradd": ("privilege", "high", "adds a user"),
    "userdel": ("privilege", "high", "removes a user"),
    "usermod": ("privilege", "high", "changes a user"),
    "visudo": ("privilege", "high", "changes who may do everything"),
    "wipefs": ("disk", "high", "erases a file system's signature"),
}

# Destructive by leading words (options between them are skipped) and, if any is named, one of the options.
DESTROYS_WITH: tuple[tuple[str, tuple[str, ...], str, str, str], ...] = (
    ("git push", ("-f", "--force", "--force-with-lease", "--force-if-includes", "-d", "--delete", "--mirror",
                  "--prune"), "history", "high", "rewrites or deletes what others have pulled"),
    ("git reset", ("--hard", "--merge", "--keep"), "history", "medium", "discards changes that are not committed"),
    ("git clean", (), "deletion", "medium", "removes files that git does not know"),
    ("git restore", (), "overwrite", "medium", "discards changes that are not committed"),
    ("git checkout", ("-f", "--force", "--", ".", "--ours", "--theirs"), "overwrite", "medium",
     "discards changes that are not committed"),
    ("git switch", ("-f", "--force", "--discard-changes", "-C"), "overwrite", "medium",
     "discards changes that are not committed"),
    ("git rebase", (), "history", "medium", "rewrites history"),
    ("git commit", ("--amend",), "history", "low", "rewrites the last commit"),
    ("git branch", ("-d", "-D", "--delete", "-f", "--force", "-M"), "history", "medium", "deletes or moves a branch"),
    ("git tag", ("-d", "--delete", "-f", "--force"), "history", "low", "deletes or moves a tag"),
    ("git stash drop", (), "history", "medium", "deletes a stash"),
    ("git stash clear", (), "history", "medium", "deletes all stashes"),
    ("git reflog expire", (), "history", "high", "deletes what history could be restored from"),
    ("git reflog delete", (), "history", "high", "deletes what history could be restored from"),
    ("git filter-branch", (), "history", "high", "rewrites the whole history"),
    ("git filter-repo", (), "history", "high", "rewrites the whole history"),
    ("git gc", ("--prune",), "history", "medium", "deletes unreachable commits"),
    ("git prune", (), "history", "medium", "deletes unreachable commits"),
    ("git update-ref", ("-d",), "history", "medium", "deletes a reference"),
    ("git rm", (), "deletion", "low", "removes files"),
    ("git worktree remove", (), "deletion", "medium", "removes a working tree"),
    ("git remote remove", (), "history", "low", "removes a remote"),
    ("docker rm", (), "container", "medium", "removes containers"),
    ("docker rmi", (), "container", "medium", "removes images"),
    ("docker kill", (), "container", "medium", "ends containers"),
    ("docker container rm", (), "container", "medium", "removes containers"),
    ("docker container prune", (), "container", "medium", "removes containers"),
    ("docker image rm", (), "container", "medium", "removes images"),
    ("docker image prune", (), "container", "medium", "removes images"),
    ("docker builder prune", (), "container", "low", "empties the build cache"),
    ("docker network rm", (), "container", "medium", "removes networks"),
    ("docker network prune", (), "container", "medium", "removes networks"),
    ("docker volume rm", (), "container", "high", "removes volumes and the data in them"),
    ("docker volume prune", (), "container", "high", "removes volumes and the data in them"),
    ("docker system prune", (), "container", "high", "removes all that is not in use"),
    ("docker compose down", ("-v", "--volumes", "--rmi"), "container", "high", "removes volumes or images"),
    ("docker compose rm", (), "container", "medium", "removes containers"),
    ("docker-compose down", ("-v", "--volumes", "--rmi"), "container", "high", "removes volumes or images"),
    ("docker-compose rm", (), "container", "medium", "removes containers"),
    ("kubectl delete", (), "cluster", "high", "deletes resources of a cluster"),
    ("kubectl drain", (), "cluster", "high", "empties a node"),
    ("kubectl replace", ("--force",), "cluster", "high", "deletes and makes anew"),
    ("helm uninstall", (), "cluster", "high", "removes a release"),
    ("helm delete", (), "cluster", "high", "removes a release"),
    ("terraform destroy", (), "cloud", "high", "destroys infrastructure"),
    ("terraform apply", ("-auto-approve", "--auto-approve", "-destroy"), "cloud", "high", "changes infrastructure"),
    ("tofu destroy", (), "cloud", "high", "destroys infrastructure"),
    ("pulumi destroy", (), "cloud", "high", "destroys infrastructure"),
    ("vagrant destroy", (), "cloud", "high", "destroys a machine"),
    ("aws s3 rm", (), "cloud", "high", "deletes stored objects"),
    ("aws s3 rb", (), "cloud", "high", "deletes a bucket"),
    ("aws s3 sync", ("--delete",), "cloud", "high", "deletes stored objects"),
    ("gsutil rm", (), "cloud", "high", "deletes stored objects"),
    ("gh repo delete", (), "cloud", "high", "deletes a repository"),
    ("gh release delete", (), "cloud", "medium", "deletes a release"),
    ("systemctl stop", (), "system", "medium", "stops a service"),
    ("systemctl disable", (), "system", "medium", "disables a service"),
    ("systemctl mask", (), "system", "medium", "disables a service"),
    ("systemctl poweroff", (), "system", "high", "stops the machine"),
    ("systemctl reboot", (), "system", "high", "restarts the machine"),
    ("crontab", ("-r", "-ri"), "deletion", "medium", "removes all scheduled jobs"),
    ("iptables", ("-F", "-X", "--flush"), "network", "high", "removes firewall rules"),
    ("nft flush", (), "network", "high", "removes firewall rules"),
    ("ufw disable", (), "network", "high", "switches the firewall off"),
    ("ufw reset", (), "network", "high", "removes firewall rules"),
    ("redis-cli flushall", (), "database", "high", "empties a database"),
    ("redis-cli flushdb", (), "database", "high", "empties a database"),
    ("rsync", ("--delete", "--delete-after", "--delete-before", "--delete-during", "--delete-excluded",
               "--remove-source-files"), "deletion", "medium", "deletes files at the target"),
    ("sed", ("-i", "--in-place"), "overwrite", "low", "changes files in place"),
    ("chmod", ("-R", "--recursive"), "permissions", "medium", "changes permissions of a whole tree"),
    ("chown", ("-R", "--recursive"), "permissions", "medium", "changes owners of a whole tree"),
    ("apt remove", (), "package", "medium", "removes packages"),
    ("apt purge", (), "package", "medium", "removes packages"),
    ("apt autoremove", (), "package", "medium", "removes packages"),
    ("apt-get remove", (), "package", "medium", "removes packages"),
    ("apt-get purge", (), "package", "medium", "removes packages"),
    ("apt-get autoremove", (), "package", "medium", "removes packages"),
    ("dpkg", ("-r", "-P", "--remove", "--purge"), "package", "medium", "removes packages"),
    ("yum remove", (), "package", "medium", "removes packages"),
    ("dnf remove", (), "package", "medium", "removes packages"),
    ("brew uninstall", (), "package", "low", "removes packages"),
    ("pip uninstall", (), "package", "low", "removes packages"),
    ("pip3 uninstall", (), "package", "low", "removes packages"),
    ("npm uninstall", (), "package", "low", "removes packages"),
    ("npm publish", (), "publish", "high", "publishes what can't be taken back"),
    ("npm unpublish", (), "publish", "high", "takes back what others may use"),
    ("cargo publish", (), "publish", "high", "publishes what can't be taken back"),
    ("twine upload", (), "publish", "high", "publishes what can't be taken back"),
)  # fmt: skip

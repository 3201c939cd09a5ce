package aufs

// Difference is a behaviour in which the FUSE file system departs from the
// kernel's module.
type Difference struct {
	Behaviour string   // what the module does
	Instead   string   // what we do
	Why       string   // safety, or what FUSE or this kernel cannot
	Records   []string // recorded tests that show it
}

// Differences is the whole list. docs/aufs-differences.md is printed from it,
// and the tests replay each record named here with the expectations changed
// accordingly.
var Differences = []Difference{
	{
		Behaviour: "with opaque marks in several layers the lowest one wins: folders below the topmost mark are merged again after a remount or fresh mount, and deleted files come back",
		Instead:   "the topmost mark wins; what was deleted stays deleted",
		Why:       "safety: deleted data must not come back, and an image must look the same however often it is mounted",
		Records: []string{"layer-opaque-two-levels", "layer-opaque-two-levels-empty", "layer-opaque-gap", "layer-opaque-two-rowh-only",
			"layer-opaque-hardlinked-marker", "layer-rmrf-mkdir-opaque-lower-ls", "layer-stack"},
	},
	{
		Behaviour: "RENAME_EXCHANGE with a folder that has children in a lower branch succeeds and loses them",
		Instead:   "EXDEV, nothing is changed",
		Why:       "safety: data loss",
		Records:   []string{"ren-exchange-dir"},
	},
	{
		Behaviour: "removexattr leaves the attribute behind with an empty value",
		Instead:   "the attribute is removed",
		Why:       "safety: a capability or label that somebody took away must be gone",
		Records:   []string{"cpup-removexattr"},
	},
	{
		Behaviour: "with noplink, after one name of a hard link was copied up the other names show the new size, time and link count with the old data",
		Instead:   "the other names are an inode of their own, with the old data and the attributes that belong to it",
		Why:       "FUSE: one inode has one page cache; and safety: size and data must agree",
		Records:   []string{"plink-noplink"},
	},
	{
		Behaviour: "a read-only mapping made before the copy-up keeps showing the old pages",
		Instead:   "it shows the new data, as on an ordinary file system",
		Why:       "FUSE: one inode has one page cache",
		Records:   []string{"cpup-mmap-rdonly-stale"},
	},
	{
		Behaviour: "chmod of an unlinked file through /proc/self/fd gives ESTALE, while fchmod works",
		Instead:   "both work",
		Why:       "FUSE: the two arrive as the same request",
		Records:   []string{"unlink-reopen-proc"},
	},
	{
		Behaviour: "without the option acl, POSIX ACLs are listed and enforced, but cannot be read (EOPNOTSUPP)",
		Instead:   "they are listed, enforced and can be read, with the option and without",
		Why:       "FUSE: the kernel enforces only what it may read; not enforcing them would be unsafe",
		Records:   []string{"cpup-acl"},
	},
	{
		Behaviour: "dirren: a folder with children in several branches can be renamed; the old name is kept in private files (.wh..wh.dr.*, .wh..wh.hino)",
		Instead:   "the option is accepted with a warning and such a rename gives EXDEV, as without it: mv copies",
		Why:       "safety: the format of those files is the module's own; writing it by guess could make a branch unreadable for the module",
		Records:   []string{"ren-dirren-merged"},
	},
	{
		Behaviour: "statfs tells the type 0x61756673",
		Instead:   "the type is FUSE's, 0x65735546; all other fields are the module's",
		Why:       "FUSE: the kernel fills the type in",
		Records:   []string{"statfs", "statfs-sum"},
	},
	{
		Behaviour: "O_DIRECT on a tmpfs branch gives EINVAL",
		Instead:   "the open succeeds where the branch allows it",
		Why:       "this kernel: tmpfs takes O_DIRECT since Linux 6.6; on a branch that refuses it the answer is EINVAL here too",
		Records:   []string{"o-direct-dio"},
	},
	{
		Behaviour: "user.* attributes on a tmpfs branch give EOPNOTSUPP",
		Instead:   "they are stored where the branch stores them",
		Why:       "this kernel: tmpfs stores user.* since Linux 6.6",
		Records:   []string{"xattr-as-user"},
	},
	{
		Behaviour: "writing to a file after it and its folder were removed crashes the kernel; 85 branches in one mount call do too",
		Instead:   "the write works; the mount gives E2BIG",
		Why:       "safety",
	},
	{
		Behaviour: "a copy-up that fails for want of space leaves the copied folders above the file behind",
		Instead:   "nothing is left behind: the data is copied before anything gets a name",
		Why:       "safety: nothing half-made",
	},
	{
		Behaviour: "a shared writable mapping copies up at mmap(2)",
		Instead:   "the copy-up is done when the first changed page is written back, at msync or close at the latest",
		Why:       "FUSE: the server does not learn of mmap",
	},
	{
		Behaviour: "udba=reval notices changes made in a branch directly at the next use, udba=notify by inotify",
		Instead:   "reval notices them within a second, notify at the next use, none (nearly) never",
		Why:       "FUSE: the kernel asks again only when the time it was given has run out",
	},
	{
		Behaviour: "renaming a file of a lower rw branch over one of a higher rw branch moves it up",
		Instead:   "EXDEV: mv copies",
		Why:       "safety: the file may be written to while it would be moved",
	},
	{
		Behaviour: "the branch list is in /sys/fs/aufs/si_*, /proc/mounts says aufs, mount -o remount changes branches",
		Instead:   "cutaway aufs branches and cutaway aufs remount do the same by ioctl on the mount point; /proc/mounts says fuse.aufs",
		Why:       "FUSE: a server cannot make files in sysfs and is not told of a remount",
	},
}

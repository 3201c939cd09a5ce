// Package volumedemo keeps data outside of a container's root file system: bind
// mounts, volumes and tmpfs, with Docker's words for asking and Docker's folders
// on disk.
//
// # The story
//
// The files of a container are a stack of layers, and the top one is thrown away
// with the container. What shall stay, or be shared, has to lie elsewhere and be
// put over a folder of the container. The kernel has one verb for it, the bind
// mount: a second name for a folder or file that exists already. A volume is no
// more than a bind mount whose source has a name and a keeper:
//
//	-v /srv/site:/www        /srv/site ──────────────────────────┐ bind
//	-v data:/db              volumes/data/_data ─────────────┐   │ bind
//	--tmpfs /run             (memory) ─────────────────┐     │   │ tmpfs
//	                                                   ▼     ▼   ▼
//	container's root:   /bin  /etc  ...              /run   /db  /www
//	                    └─ layers, thrown away ─┘    └─ mounts, not in the layers ─┘
//
// What lies below such a mount is hidden, not lost, and it is in no layer: diff
// and commit do not see it.
//
// # The words
//
//   - bind mount: mount(2) with MS_BIND; here open_tree(2) with OPEN_TREE_CLONE,
//     which makes it, and move_mount(2), which puts it in place.
//   - recursive: with all that is mounted below the source.
//   - propagation: whether mounts made later below the source appear in the
//     container (slave), and the other way too (shared); private is neither.
//   - named volume: volumes/NAME/_data below the state root.
//   - anonymous volume: the same, with 64 random digits for a name.
//   - first use: an empty volume gets what the image has at that place.
//   - dangling: a volume that no container uses any more.
//
// # How this package is laid out
//
//	parse_*.go    what -v, --mount, --tmpfs, --volumes-from ask for    Spec (pure)
//	merge.go      which of them wins at one place                      Merge (pure)
//	resolve.go    volumes and folders made, sources known              Store.Resolve, Point
//	point.go      a Point as a mount of the OCI runtime spec           Point.Mount (pure)
//	attach.go     such a mount put into a root by file descriptors     Attach
//	store*.go     the volumes on disk                                  Store
//	fill.go       the first use                                        Fill
//	pack.go ...   a tree as an archive, for backup and for first use   Pack, Unpack
//	explain.go    what an errno likely means                           Why
//
// A container's root and a volume's content belong to the container: symlinks
// in them may lead anywhere. No path in them is followed as a string; they are
// opened with openat2(2) and RESOLVE_IN_ROOT, or with os.Root.
//
// # What this is not
//
// It knows no containers: who uses a volume is told by the caller. It has the
// driver "local" only, and no network file systems.
//
// Further reading: mount(2), open_tree(2), move_mount(2), mount_setattr(2),
// openat2(2), tmpfs(5), mount_namespaces(7), xattr(7),
// Documentation/filesystems/sharedsubtree.rst, and config.md of the OCI runtime
// specification, Mounts.
package volumedemo

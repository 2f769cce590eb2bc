package criu

// Kind is what CRIU is asked for.
type Kind int

// The requests, and what CRIU sends of itself, by their numbers in the protocol.
const (
	Dump         Kind = 1
	Restore      Kind = 2
	check        Kind = 3
	PreDump      Kind = 4
	notification Kind = 6
	features     Kind = 9
	version      Kind = 10
)

func (k Kind) String() string {
	switch k {
	case Dump:
		return "dump"
	case Restore:
		return "restore"
	case PreDump:
		return "pre-dump"
	case check:
		return "check"
	case features:
		return "feature check"
	case version:
		return "version"
	}
	return "notification"
}

// CgroupMode is what CRIU does with cgroups and their properties.
type CgroupMode int

// The modes, by their numbers in the protocol.
const (
	CgroupIgnore CgroupMode = 0
	CgroupNone   CgroupMode = 1
	CgroupProps  CgroupMode = 2
	CgroupSoft   CgroupMode = 3
	CgroupFull   CgroupMode = 4
	CgroupStrict CgroupMode = 5
)

// NetworkLock is how CRIU keeps packets out while it dumps; 0 leaves the choice to it.
type NetworkLock int

// The methods, by their numbers in the protocol.
const (
	LockIptables NetworkLock = 1
	LockNftables NetworkLock = 2
	LockSkip     NetworkLock = 3
)

// Options are those of a request. What is zero is not sent.
type Options struct {
	Images int // descriptor of the directory of the images
	Work   int // that of logs and statistics; -1 is that of the images
	Log    string
	Pid    int    // of the process whose tree is dumped
	Root   string // of the container
	Config string // configuration file, whose settings come before all these

	LeaveRunning, ExtUnixSockets, TCPEstablished, TCPSkipInFlight, TCPClose bool
	ShellJob, FileLocks, LinkRemap, AutoDedup, LazyPages, TrackMemory       bool

	ParentImages string // relative to the directory of the images
	PageServer   string // address
	PagePort     int

	Cgroups     CgroupMode
	CgroupRoots []CgroupRoot
	Freezer     string // directory of the cgroup that is frozen meanwhile
	EmptyNS     uint32 // namespaces whose content is neither dumped nor restored
	Lock        NetworkLock

	LSMProfile, LSMMountContext string

	External []string // see Mount, Namespace and File
	Inherit  []InheritedFd
	Join     []JoinedNS
}

// CgroupRoot is where a restored container's cgroups are in the hierarchy of a controller,
// as /proc/PID/cgroup names both.
type CgroupRoot struct{ Controller, Path string }

// InheritedFd is a descriptor of CRIU that takes the place of what the images know by Key.
type InheritedFd struct {
	Key string
	Fd  int
}

// JoinedNS is a namespace that restored processes join, by the path of its file.
type JoinedNS struct{ Type, File string }

// encode returns the message of the options. What every request of the runtime has alike
// is set here: the processes of a restore are the caller's children, and CRIU asks at each
// of its steps.
func (o *Options) encode(kind Kind) []byte {
	var msg message
	msg.int(1, o.Images)
	if o.Pid > 0 {
		msg.int(2, o.Pid)
	}
	msg.flag(3, o.LeaveRunning)
	msg.flag(4, o.ExtUnixSockets)
	msg.flag(5, o.TCPEstablished)
	msg.flag(6, kind == Restore) // evasive devices: a terminal's path need not be the former one
	msg.flag(7, o.ShellJob)
	msg.flag(8, o.FileLocks)
	msg.int(9, 4) // all of the log but debugging of CRIU itself
	msg.string(10, o.Log)
	if o.PageServer != "" {
		var ps message
		ps.string(1, o.PageServer)
		ps.int(2, o.PagePort)
		msg.bytes(11, ps)
	}
	msg.flag(12, true) // notifications
	msg.text(13, o.Root)
	msg.text(14, o.ParentImages)
	msg.flag(15, o.TrackMemory)
	msg.flag(16, o.AutoDedup)
	if o.Work >= 0 {
		msg.int(17, o.Work)
	}
	msg.flag(18, o.LinkRemap)
	msg.flag(24, true) // cgroups are managed, by the mode below
	for _, r := range o.CgroupRoots {
		var root message
		root.text(1, r.Controller)
		root.string(2, r.Path)
		msg.bytes(25, root)
	}
	msg.flag(26, kind == Restore) // the restored init is the caller's child
	for _, f := range o.Inherit {
		var fd message
		fd.string(1, f.Key)
		fd.int(2, f.Fd)
		msg.bytes(27, fd)
	}
	msg.int(34, int(o.Cgroups))
	for _, e := range o.External {
		msg.string(37, e)
	}
	if o.EmptyNS != 0 {
		msg.uint(38, uint64(o.EmptyNS))
	}
	for _, j := range o.Join {
		var ns message
		ns.string(1, j.Type)
		ns.string(2, j.File)
		msg.bytes(39, ns)
	}
	o.encodeLater(&msg)
	return msg
}

// encodeLater writes the fields that newer versions have.
func (o *Options) encodeLater(m *message) {
	m.text(44, o.Freezer)
	m.flag(46, o.TCPSkipInFlight)
	m.flag(48, o.LazyPages)
	m.flag(50, true) // the terminal's master comes by a notification
	m.text(51, o.Config)
	m.flag(52, o.TCPClose)
	m.text(53, o.LSMProfile)
	m.text(63, o.LSMMountContext)
	if o.Lock != 0 {
		m.int(64, int(o.Lock))
	}
}

// Features are what a CRIU and a kernel can do together.
type Features struct{ MemoryTracking, LazyPages bool }

// response is an answer of CRIU, or a notification.
type response struct {
	kind    Kind
	success bool
	errno   int
	errmsg  string
	script  string // of a notification
	pid     int    // of a notification, or of the restored init
	version Version
	feats   Features
}

func decodeResponse(b []byte) (*response, error) {
	resp := &response{}
	var inner error
	sub := func(data []byte, f func(n int, v uint64, data []byte)) {
		if err := fields(data, f); err != nil {
			inner = err
		}
	}
	err := fields(b, func(n int, v uint64, data []byte) {
		switch n {
		case 1:
			resp.kind = Kind(v)
		case 2:
			resp.success = v != 0
		case 4:
			sub(data, func(n int, v uint64, _ []byte) {
				if n == 1 {
					resp.pid = int(int32(v))
				}
			})
		case 5:
			sub(data, resp.notify)
		case 7:
			resp.errno = int(int32(v))
		case 8:
			sub(data, func(n int, v uint64, _ []byte) {
				switch n {
				case 1:
					resp.feats.MemoryTracking = v != 0
				case 2:
					resp.feats.LazyPages = v != 0
				}
			})
		case 9:
			resp.errmsg = string(data)
		case 10:
			sub(data, resp.version.field)
		}
	})
	if err == nil {
		err = inner
	}
	return resp, err
}

func (r *response) notify(n int, v uint64, data []byte) {
	switch n {
	case 1:
		r.script = string(data)
	case 2:
		r.pid = int(int32(v))
	}
}

// encodeRequest returns the message of a request; body is that of its options, nil for
// none.
func encodeRequest(kind Kind, body []byte) []byte {
	var m message
	m.int(1, int(kind))
	if body != nil {
		m.bytes(2, body)
	}
	return m
}

// encodeAnswer returns the answer to a notification.
func encodeAnswer(success bool) []byte {
	var m message
	m.int(1, int(notification))
	v := uint64(0)
	if success {
		v = 1
	}
	m.uint(3, v)
	return m
}

// encodeFeatures returns the request that asks for features.
func encodeFeatures(f Features) []byte {
	var asked, m message
	asked.flag(1, f.MemoryTracking)
	asked.flag(2, f.LazyPages)
	m.int(1, int(features))
	m.bytes(5, asked)
	return m
}

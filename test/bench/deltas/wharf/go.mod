module uplevel/test/bench/deltas/wharf

go 1.26.0

require (
	github.com/itchio/headway v0.0.0-20200301160421-e15721f23905
	github.com/itchio/lake v0.0.0-20200305150023-cc4284ec2b2a
	github.com/itchio/savior v0.0.0-20200303195615-7cac7998294c
	github.com/itchio/wharf v0.0.0-20200618133039-e0beba741312
)

require (
	github.com/certifi/gocertifi v0.0.0-20200211180108-c7c1fbc02894 // indirect
	github.com/detailyang/go-fallocate v0.0.0-20180908115635-432fa640bd2e // indirect
	github.com/efarrer/iothrottler v0.0.1 // indirect
	github.com/getlantern/context v0.0.0-20190109183933-c447772a6520 // indirect
	github.com/getlantern/errors v0.0.0-20190325191628-abdb3e3e36f7 // indirect
	github.com/getlantern/golog v0.0.0-20190830074920-4ef2e798c2d7 // indirect
	github.com/getlantern/hex v0.0.0-20190417191902-c6586a6fe0b7 // indirect
	github.com/getlantern/hidden v0.0.0-20190325191715-f02dbb02be55 // indirect
	github.com/getlantern/idletiming v0.0.0-20200228204104-10036786eac5 // indirect
	github.com/getlantern/mtime v0.0.0-20200417132445-23682092d1f7 // indirect
	github.com/getlantern/netx v0.0.0-20190110220209-9912de6f94fd // indirect
	github.com/getlantern/ops v0.0.0-20200403153110-8476b16edcd6 // indirect
	github.com/go-ozzo/ozzo-validation v3.6.0+incompatible // indirect
	github.com/go-stack/stack v1.8.0 // indirect
	github.com/gogs/chardet v0.0.0-20191104214054-4b6791f73a28 // indirect
	github.com/golang/protobuf v1.4.2 // indirect
	github.com/hashicorp/golang-lru v0.5.4 // indirect
	github.com/itchio/arkive v0.0.0-20200618123031-1a30392a8cfe // indirect
	github.com/itchio/dskompress v0.0.0-20190702113811-5e6f499be697 // indirect
	github.com/itchio/go-brotli v0.0.0-20190702114328-3f28d645a45c // indirect
	github.com/itchio/httpkit v0.0.0-20200618110940-5044e418b971 // indirect
	github.com/itchio/kompress v0.0.0-20200301155538-5c2eecce9e51 // indirect
	github.com/itchio/ox v0.0.0-20200301160301-4e131878ba64 // indirect
	github.com/itchio/screw v0.0.0-20200301160148-75fc2d65fb38 // indirect
	github.com/jgallagher/gosaca v0.0.0-20130226042358-754749770f08 // indirect
	github.com/klauspost/compress v1.10.9 // indirect
	github.com/mitchellh/copystructure v1.0.0 // indirect
	github.com/mitchellh/reflectwalk v1.0.1 // indirect
	github.com/oxtoacart/bpool v0.0.0-20190530202638-03653db5a59c // indirect
	github.com/pkg/errors v0.9.1 // indirect
	golang.org/x/net v0.0.0-20200602114024-627f9648deb9 // indirect
	golang.org/x/sys v0.0.0-20200615200032-f1bc736245b1 // indirect
	golang.org/x/text v0.3.3 // indirect
	google.golang.org/protobuf v1.24.0 // indirect
)

package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/cli"
	"github.com/hutch-project/hutch/internal/fault"
	"github.com/hutch-project/hutch/internal/host/logsocket"
	"github.com/hutch-project/hutch/internal/jsontext"
	"github.com/hutch-project/hutch/internal/outfile"
	"github.com/hutch-project/hutch/internal/seat"
)

// logTarget is where messages go, and which; the logger is made when the first comes.
var logTarget struct {
	file   *os.File
	socket *logsocket.Socket
	json   bool
	level  logLevel
}

// logLevel is how much is logged.
type logLevel uint8

const (
	logErrors logLevel = iota
	logWarnings
	logDebug
)

// prepareLog opens the log, so that an unusable one is an error at once.
func prepareLog(line *cli.Line) (err error) {
	c, t := &line.Global, &logTarget
	t.json = c.String("log-format") == "json"
	switch level := c.String("log-level"); {
	case c.Bool("debug") || level == "debug":
		t.level = logDebug
	case level == "warning":
		t.level = logWarnings
	default:
		t.level = logErrors
	}
	target := c.String("log")
	if target == "" {
		return nil
	}
	kind, rest, _ := strings.Cut(target, ":")
	switch kind {
	case "journald":
		t.socket, err = logsocket.Journal(logsocket.JournalPath, nameInLog(line, rest))
	case "syslog":
		t.socket, err = logsocket.Syslog(logsocket.SyslogPath, nameInLog(line, rest))
	case "file":
		target = rest
		fallthrough
	default:
		t.file, err = openLog(target)
	}
	if err != nil {
		return fmt.Errorf("--log: %w", err)
	}
	return nil
}

// openLog opens the file that the log is appended to.
func openLog(path string) (*os.File, error) {
	fd, err := outfile.Open(path, unix.O_WRONLY|unix.O_APPEND|unix.O_CREAT, 0o644)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}

// nameInLog returns the name of this program's messages in a log that others share: what
// the flag says, the container's id, or the program's own.
func nameInLog(l *cli.Line, name string) string {
	switch {
	case name != "":
		return name
	case l.Command != nil && strings.HasPrefix(l.Command.Arguments, "ID") && len(l.Words) > 0:
		return l.Words[0]
	}
	return "hutch"
}

func hasLog() bool { return logTarget.file != nil || logTarget.socket != nil }

// logLine writes a message to the log, or, where there is none, to standard error.
func logLine(level logrus.Level, p logsocket.Priority, text string) {
	l := logrus.New()
	l.SetLevel(logrus.DebugLevel)
	if logTarget.file != nil {
		l.SetOutput(logTarget.file)
	}
	var line strings.Builder
	switch {
	case logTarget.socket == nil:
	case !logTarget.json: // the daemon adds time and level
		logTarget.socket.Send(p, fault.Printable(text))
		return
	default:
		l.SetOutput(&line)
	}
	if logTarget.json {
		l.SetOutput(jsontext.Printable(l.Out))
		l.SetFormatter(&logrus.JSONFormatter{TimestampFormat: time.RFC3339Nano})
	} else {
		l.SetFormatter(&logrus.TextFormatter{DisableColors: true, FullTimestamp: true, TimestampFormat: time.RFC3339Nano})
	}
	l.WithTime(time.Now().UTC()).Log(level, text)
	if logTarget.socket != nil {
		logTarget.socket.Send(p, strings.TrimSuffix(line.String(), "\n"))
	}
}

// report writes the error that ends the program: one line to the log, and plain
// to standard error, where engines look for it.
func report(err error) {
	err = seat.Explain(err)
	if hasLog() {
		logLine(logrus.ErrorLevel, logsocket.Error, err.Error())
	}
	fmt.Fprintln(os.Stderr, "hutch: "+fault.Printable(err.Error()))
}

// warn writes what was tolerated: to the log, or, where there is none, to standard error,
// as runc does, also where the container will have that.
func warn(text string) {
	switch {
	case logTarget.level < logWarnings:
	case !hasLog():
		fmt.Fprintln(os.Stderr, "hutch: warning: "+fault.Printable(text))
	default:
		logLine(logrus.WarnLevel, logsocket.Warning, text)
	}
}

// note writes what was tolerated to the log alone.
func note(text string) {
	if hasLog() {
		warn(text)
	}
}

func debug(text string) {
	if logTarget.level >= logDebug {
		logLine(logrus.DebugLevel, logsocket.Debug, text)
	}
}

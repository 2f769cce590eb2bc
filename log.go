package main

import (
	"fmt"
	"os"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/hutch-project/hutch/internal/cli"
)

// logTarget is where messages go; the log is made when the first comes.
var logTarget struct {
	file   *os.File
	format string
	debug  bool
}

// prepareLog opens the log file, so that an unusable one is an error at once.
func prepareLog(c *cli.Values) error {
	logTarget.format, logTarget.debug = c.String("log-format"), c.Bool("debug")
	path := c.String("log")
	if path == "" {
		return nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return fmt.Errorf("--log: %w", err)
	}
	logTarget.file = f
	return nil
}

func logger() *logrus.Logger {
	l := logrus.New()
	if logTarget.file != nil {
		l.SetOutput(logTarget.file)
	}
	if logTarget.debug {
		l.SetLevel(logrus.DebugLevel)
	}
	if logTarget.format == "json" {
		l.SetFormatter(&logrus.JSONFormatter{TimestampFormat: time.RFC3339Nano})
	} else {
		l.SetFormatter(&logrus.TextFormatter{DisableColors: true, FullTimestamp: true, TimestampFormat: time.RFC3339Nano})
	}
	return l
}

// report tells the error that ends the program: one line to the log, and plain
// to standard error, where engines look for it.
func report(err error) {
	if logTarget.file != nil {
		logger().WithTime(time.Now().UTC()).Error(err.Error())
	}
	fmt.Fprintln(os.Stderr, "hutch: "+err.Error())
}

// warn tells what was tolerated: to the log, or, where there is none, to standard error,
// as runc does, also where the container will have that.
func warn(text string) {
	if logTarget.file == nil {
		fmt.Fprintln(os.Stderr, "hutch: warning: "+text)
		return
	}
	logger().WithTime(time.Now().UTC()).Warn(text)
}

// note tells what was tolerated to the log alone.
func note(text string) {
	if logTarget.file != nil {
		warn(text)
	}
}

func debug(text string) {
	if logTarget.debug {
		logger().WithTime(time.Now().UTC()).Debug(text)
	}
}

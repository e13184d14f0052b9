package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/elasticintel/elasticintel/internal/awslambda"
	"github.com/elasticintel/elasticintel/internal/config"
	"github.com/elasticintel/elasticintel/internal/fetch"
)

// version is of this source tree; a release sets it.
const version = "0.1.0-dev"

// settings are what a function is told by its variables.
type settings struct {
	config.Config
	runtimeAPI, function string
	topic                string       // ARN that jobs are published to
	cache                string       // folder for what is kept of the store
	cacheMB              int          // most megabytes of segments in it, 0 = most of what is free
	shard                int          // records of a feed from which on it is cut into more shards, 0 = corpus' own
	secrets              string       // ssm:/PREFIX/, "" = variables only
	metrics              string       // namespace in CloudWatch
	stream               bool         // the function's URL streams
	log, warnings        *slog.Logger // what is worth a line, and only what is wrong
}

// readSettings reads the variables. Even with an error the log can be used.
func readSettings(environ []string) (*settings, error) {
	env := map[string]string{}
	for _, line := range environ {
		if k, v, ok := strings.Cut(line, "="); ok {
			env[k] = v
		}
	}
	or := func(name, otherwise string) string {
		if v := env[name]; v != "" {
			return v
		}
		return otherwise
	}
	s := &settings{Config: config.Default(), runtimeAPI: env["AWS_LAMBDA_RUNTIME_API"], function: env["EI_FUNCTION"], topic: env["EI_JOBS_TOPIC"],
		cache: or("EI_CACHE", filepath.Join(os.TempDir(), "ei")), secrets: env["EI_SECRETS"], metrics: or("EI_METRICS", "ElasticIntel"), stream: env["EI_STREAM"] == "1"}
	s.Data, s.LogLevel = ".", "info" // Fill wants one
	flags := pflag.NewFlagSet("lambda", pflag.ContinueOnError)
	s.Bind(flags, append([]string{"data", "log-level", "keep-raw", "keep-history", "grace", "alert-webhook", "alert-allow-network", "alert-after"}, config.EngineFlags()...)...)
	err := s.Fill(flags, environ, "", nil)
	s.Data = env["EI_DATA"]
	var sizeErr, shardErr error
	s.cacheMB, sizeErr = strconv.Atoi(or("EI_CACHE_MB", "0"))
	s.shard, shardErr = strconv.Atoi(or("EI_SHARD_SIZE", "0"))
	level := slog.LevelInfo
	_ = level.UnmarshalText([]byte(s.LogLevel)) // checked by Fill
	logger := func(l slog.Level) *slog.Logger {
		return slog.New(slog.NewJSONHandler(os.Stdout, &slog.HandlerOptions{Level: l})).With(slog.String("function", s.function))
	}
	s.log, s.warnings = logger(level), logger(max(level, slog.LevelWarn))
	switch {
	case err != nil:
		return s, err
	case sizeErr != nil || s.cacheMB < 0:
		return s, fmt.Errorf("EI_CACHE_MB=%s: want megabytes, such as 400, or nothing for most of what is free", env["EI_CACHE_MB"])
	case shardErr != nil || s.shard < 0:
		return s, fmt.Errorf("EI_SHARD_SIZE=%s: want a number of listings, such as 100000, or nothing for 500000", env["EI_SHARD_SIZE"])
	case s.Data == "":
		return s, errors.New("EI_DATA is not set: want s3://BUCKET, or a folder")
	case s.topic == "" && s.function == awslambda.FunctionScheduler:
		return s, errors.New("EI_JOBS_TOPIC is not set: want the ARN of the topic that jobs are published to")
	}
	return s, os.MkdirAll(s.cache, 0o700)
}

func (s *settings) now() time.Time { return time.Now() }

func (s *settings) fetcher() *fetch.Client {
	return fetch.New(fetch.Options{UserAgent: fetch.UserAgent(version), TempDir: s.cache, Now: s.now, Log: s.log})
}

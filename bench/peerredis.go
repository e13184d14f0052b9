package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"github.com/gomodule/redigo/redis"

	"github.com/elasticintel/elasticintel/internal/intel"
)

// redisPeer keeps a hash an indicator (feed to listing) and one sorted set of
// reversed hosts. Redis of Debian has no text index, so it is not asked for text.
type redisPeer struct {
	mute
	s       *server
	conn    redis.Conn
	version string
}

func newRedisPeer() (peer, error) {
	// Debian's redis-tools has the program under another name, without the service
	// that redis-server would start; which one it is goes by the name it is called.
	program, err := find("redis-server")
	if err != nil {
		if program, err = find("redis-check-rdb"); err != nil {
			return nil, errors.New("redis-server is not installed")
		}
	}
	dir, err := os.MkdirTemp("", "bench-redis-")
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	p := &redisPeer{version: versionOf(program, "redis-server")}
	p.version, _, _ = strings.Cut(p.version, " sha=")
	cmd := exec.Command(program, "--bind", "127.0.0.1", "--port", strconv.Itoa(port), "--dir", dir,
		"--save", "", "--appendonly", "yes", "--appendfsync", "everysec")
	cmd.Args[0] = "redis-server"
	p.s, err = startServer(dir, cmd)
	if err != nil {
		return nil, err
	}
	err = p.s.until(func() (err error) {
		if p.conn, err = redis.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			_, err = p.conn.Do("PING")
		}
		return err
	})
	if err != nil {
		_ = p.s.stop(syscall.SIGTERM)
		return nil, err
	}
	return p, nil
}

func (p *redisPeer) pid() int { return p.s.cmd.Process.Pid }

func (p *redisPeer) name() string { return "Redis" }

func (p *redisPeer) about() string {
	about := p.version + ", loopback; a hash an indicator, a sorted set of reversed hosts; append-only file synced every second (weaker than the others); pipelined"
	if info, err := redis.String(p.conn.Do("INFO", "memory")); err == nil {
		if _, rest, ok := strings.Cut(info, "used_memory:"); ok {
			n, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			about += "; all data in memory, " + megabytes(n)
		}
	}
	return about
}

func redisKey(i intel.Indicator) string { return strconv.Itoa(int(i.Kind)) + ":" + i.Value }

func (r *listing) redisHost() string { return r.rhost + "\x00" + r.feed + " " + redisKey(r.ind) }

func (p *redisPeer) load(_ context.Context, _ int, _ []intel.Entry, rows []listing) error {
	return p.write(nil, rows)
}

func (p *redisPeer) write(gone, added []listing) error {
	sent := 0
	send := func(cmd string, args ...any) error {
		if sent++; sent%2000 == 0 {
			if err := p.drain(); err != nil {
				return err
			}
		}
		return p.conn.Send(cmd, args...)
	}
	for i := range gone {
		r := &gone[i]
		if err := send("HDEL", redisKey(r.ind), r.feed); err != nil {
			return err
		}
		if r.rhost != "" {
			if err := send("ZREM", "hosts", r.redisHost()); err != nil {
				return err
			}
		}
	}
	for i := range added {
		r := &added[i]
		body := fmt.Sprintf("%d\t%s\t%s", r.seq, r.original, r.context)
		if err := send("HSET", redisKey(r.ind), r.feed, body); err != nil {
			return err
		}
		if r.rhost != "" {
			if err := send("ZADD", "hosts", 0, r.redisHost()); err != nil {
				return err
			}
		}
	}
	return p.drain()
}

// drain waits for all answers.
func (p *redisPeer) drain() error {
	_, err := p.conn.Do("")
	return err
}

func (p *redisPeer) bytes(context.Context) (int64, error) { return folderBytes(p.s.dir, ".") }

func (p *redisPeer) exact(_ context.Context, i intel.Indicator) (int, error) {
	m, err := redis.StringMap(p.conn.Do("HGETALL", redisKey(i)))
	return len(m), err
}

func (p *redisPeer) bulk(_ context.Context, asked []intel.Indicator) (int, error) {
	keys := make([]string, len(asked))
	for i, x := range asked {
		keys[i] = redisKey(x)
	}
	return p.all(keys)
}

// all asks for many keys in pipelines of 1,000.
func (p *redisPeer) all(keys []string) (n int, err error) {
	for len(keys) > 0 {
		some := keys[:min(len(keys), 1000)]
		for _, k := range some {
			if err := p.conn.Send("HGETALL", k); err != nil {
				return n, err
			}
		}
		if err := p.conn.Flush(); err != nil {
			return n, err
		}
		for range some {
			m, err := redis.StringMap(p.conn.Receive())
			if err != nil {
				return n, err
			}
			n += len(m)
		}
		keys = keys[len(some):]
	}
	return n, nil
}

func (p *redisPeer) search(_ context.Context, q question) (a answer, err error) {
	if q.sort != "subdomains" {
		return a, errNot
	}
	r := reversed(q.host) + "."
	from, to := "["+r+"\x01", "("+r[:len(r)-1]+"/"
	if a.total, err = redis.Int(p.conn.Do("ZLEXCOUNT", "hosts", from, to)); err != nil {
		return a, err
	}
	found, err := redis.Strings(p.conn.Do("ZRANGEBYLEX", "hosts", from, to, "LIMIT", 0, 20))
	if err != nil {
		return a, err
	}
	for _, f := range found { // the listings themselves
		_, rest, _ := strings.Cut(f, "\x00")
		feed, key, _ := strings.Cut(rest, " ")
		if err := p.conn.Send("HGET", key, feed); err != nil {
			return a, err
		}
	}
	return a, p.drain() // in the order of hosts, so nothing to compare
}

func (p *redisPeer) covering(_ context.Context, a netip.Addr) (int, error) {
	keys := covers(a)
	for i := range keys {
		keys[i] = redisKey(intel.Indicator{Kind: intel.CIDR, Value: keys[i]})
	}
	return p.all(keys)
}

func (p *redisPeer) change(_ context.Context, c *change) error { return p.write(c.gone, c.added) }

func (p *redisPeer) close() error {
	_ = p.conn.Close()
	return p.s.stop(syscall.SIGTERM)
}

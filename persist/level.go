package persist

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
)

// Degraded begins what Database.Level says of a store that may lose what it has confirmed, or that
// does not take all that it should.
const Degraded = "degraded: "

// LogLevel logs what a store says of itself: as a warning if it is degraded.
func LogLevel(log *slog.Logger, text, level string) {
	as := slog.LevelInfo
	if strings.HasPrefix(level, Degraded) {
		as = slog.LevelWarn
	}
	log.Log(context.Background(), as, text, "commit", level)
}

// levelled is the whole sentence.
func levelled(name string, faults []string) string {
	if len(faults) > 0 {
		return Degraded + name + ": " + strings.Join(faults, ", ")
	}
	return name + ": on the disk at each commit"
}

// mysqlSettings are what durability depends on; servers have some of them only. They are asked for
// by name, so that one that a server does not know is no error.
var mysqlSettings = [...]string{"version", "innodb_flush_log_at_trx_commit", "innodb_flush_log_at_timeout", "log_bin",
	"sync_binlog", "innodb_doublewrite", "innodb_flush_method", "innodb_force_recovery", "read_only", "super_read_only",
	"innodb_read_only", "wsrep_on", "max_allowed_packet"}

// mysqlLevel asks for the global settings: they are those of connections to come, and of these most
// have no other.
func mysqlLevel(ctx context.Context, db *sql.DB) (string, error) {
	settings := map[string]string{}
	rows, err := db.QueryContext(ctx, "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('"+
		strings.Join(mysqlSettings[:], "', '")+"')")
	if err != nil {
		return "", err
	}
	defer rows.Close()
	for rows.Next() {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			return "", err
		}
		settings[strings.ToLower(name)] = value
	}
	if err := rows.Err(); err != nil {
		return "", err
	}
	return levelled("mysql "+settings["version"], mysqlFaults(settings)), nil
}

// mysqlFaults says of each setting that is not what it should be what follows from it.
func mysqlFaults(settings map[string]string) (faults []string) {
	fault := func(name, means string) {
		faults = append(faults, name+"="+settings[name]+" ("+means+")")
	}
	on := func(name string) bool { return settings[name] == "ON" || settings[name] == "1" }
	last := settings["innodb_flush_log_at_timeout"]
	if last == "" {
		last = "1"
	}
	switch settings["innodb_flush_log_at_trx_commit"] {
	case "0":
		fault("innodb_flush_log_at_trx_commit", "a crash of the server loses the last "+last+" s of commits")
	case "2":
		fault("innodb_flush_log_at_trx_commit", "a crash of its machine loses the last "+last+" s of commits")
	}
	if on("log_bin") && settings["sync_binlog"] != "1" { // what the binlog has lost is rolled back
		fault("sync_binlog", "a crash of its machine may lose commits")
	}
	if on := on("innodb_doublewrite"); !on && settings["innodb_doublewrite"] != "" {
		fault("innodb_doublewrite", "a power cut may destroy pages")
	}
	switch settings["innodb_flush_method"] {
	case "nosync", "littlesync", "O_DIRECT_NO_FSYNC":
		fault("innodb_flush_method", "a power cut may destroy pages")
	}
	if n := settings["innodb_force_recovery"]; n != "" && n != "0" {
		fault("innodb_force_recovery", "for repairs only")
	}
	for _, name := range []string{"read_only", "super_read_only", "innodb_read_only"} {
		if on(name) {
			fault(name, "it takes no writes")
			break
		}
	}
	if on("wsrep_on") { // a fence is read under a lock that other members know nothing of
		fault("wsrep_on", "fences hold between writes through one member only: let all nodes use the same")
	}
	if n, err := strconv.ParseInt(settings["max_allowed_packet"], 10, 64); err == nil && n < mysqlPacket {
		fault("max_allowed_packet", "large entities are refused")
	}
	return faults
}

// sqliteLevel asks the connection that writes: the settings are the connection's, not the file's.
func sqliteLevel(ctx context.Context, db *sql.DB) (string, error) {
	var journal string
	var synchronous int
	if err := db.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&journal); err != nil {
		return "", err
	}
	if err := db.QueryRowContext(ctx, "PRAGMA synchronous").Scan(&synchronous); err != nil {
		return "", err
	}
	var faults []string
	if journal == "off" || journal == "memory" {
		faults = append(faults, "journal_mode="+journal+" (a crash may destroy the file)")
	}
	switch synchronous {
	case 0:
		faults = append(faults, "synchronous=OFF (a power cut may lose commits, or the file)")
	case 1:
		faults = append(faults, "synchronous=NORMAL (a power cut may lose commits)")
	}
	return levelled(fmt.Sprintf("sqlite, journal_mode=%s", journal), faults), nil
}

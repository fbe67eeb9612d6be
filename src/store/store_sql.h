/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_STORE_STORE_SQL_H
#define MEMDRIFT_STORE_STORE_SQL_H

#include "drift/component.h"

/* ",rss_bytes,anon_bytes,..." and ",?,?,...", in the order of enum component. */
#define SQL_COLUMN(name, key, text) "," key
#define SQL_MARK(name, key, text)   ",?"
#define SQL_VALUES                  COMPONENTS(SQL_COLUMN)
#define SQL_MARKS                   COMPONENTS(SQL_MARK)

/* As many as the table of incidents has columns. */
#define SQL_INCIDENT_COLUMNS 32
#define SQL_INCIDENT_MARKS   "?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?"

#define SQL_NAME "unit,cgroup,exe,comm,slot"

#define SQL_PASS_VALUES           COMPONENTS_PASS(SQL_COLUMN)
#define SQL_NULL(name, key, text) ",NULL"
#define SQL_PASS_MARKS            COMPONENTS_PASS(SQL_MARK)

/* Some thousand rows of the oldest hour or day before ?1. */
#define SQL_DELETE_OLDEST(table, part)                                                           \
	"DELETE FROM " table " WHERE " part "=(SELECT min(" part ") FROM " table " WHERE " part  \
	"<?1) AND subject<=(SELECT max(subject) FROM (SELECT subject FROM " table " WHERE " part \
	"=(SELECT min(" part ") FROM " table " WHERE " part "<?1) ORDER BY subject LIMIT 2000))"

/*
 * Every statement, prepared when it is first used. Each reads a range of a primary key or of an
 * index; of samples, one of time, whosoever they are.
 */
#define STORE_SQL(X)                                                                              \
	X(BEGIN, "BEGIN IMMEDIATE")                                                               \
	X(BEGIN_READ, "BEGIN")                                                                    \
	X(COMMIT, "COMMIT")                                                                       \
	X(PAGE_COUNT, "PRAGMA page_count")                                                        \
	X(FREELIST_COUNT, "PRAGMA freelist_count")                                                \
	X(SUBJECT_FIND, "SELECT id,cgroup,comm FROM subjects WHERE unit=? AND exe=? AND slot=?")  \
	X(SUBJECT_ADD, "INSERT INTO subjects(" SQL_NAME ",fold_ms) VALUES(?,?,?,?,?,?)")          \
	X(SUBJECT_UPDATE, "UPDATE subjects SET cgroup=?,comm=? WHERE id=?")                       \
	X(SUBJECT_LIMITS, "UPDATE subjects SET limit_bytes=?,arena_limit=?,cpus=? WHERE id=?")    \
	X(SUBJECT_GET, "SELECT " SQL_NAME ",limit_bytes,arena_limit,cpus,fold_ms"                 \
		       " FROM subjects WHERE id=?")                                               \
	X(SUBJECTS, "SELECT id," SQL_NAME ","                                                     \
		    "(SELECT min(begin_ms) FROM lives WHERE subject=s.id),"                       \
		    "l.pid,l.start_time,l.end_ms FROM subjects s JOIN lives l ON l.subject=s.id"  \
		    " AND l.begin_ms=(SELECT max(begin_ms) FROM lives WHERE subject=s.id)"        \
		    " ORDER BY id")                                                               \
	X(SUBJECT_NEXT, "SELECT min(id) FROM subjects WHERE fold_ms=?2 AND id>?1")                \
	X(SUBJECT_WAKE, "UPDATE subjects SET fold_ms=min(fold_ms,?) WHERE id=?")                  \
	X(SUBJECT_FOLDED, "UPDATE subjects SET fold_ms=? WHERE id=?")                             \
	X(SUBJECTS_TO_FOLD,                                                                       \
	  "SELECT id,fold_ms FROM subjects WHERE fold_ms="                                        \
	  "(SELECT min(fold_ms) FROM subjects) AND fold_ms<? ORDER BY id LIMIT ?")                \
	X(SUBJECTS_FOLDED_TO, "SELECT min(fold_ms) FROM subjects")                                \
	X(SUBJECT_DELETE, "DELETE FROM subjects WHERE id=?1"                                      \
			  " AND NOT EXISTS(SELECT 1 FROM lives WHERE subject=?1)")                \
	X(LIFE_LAST, "SELECT begin_ms,end_ms,pid,start_time FROM lives WHERE subject=?"           \
		     " ORDER BY begin_ms DESC LIMIT 1")                                           \
	X(LIFE_OPEN, "INSERT INTO lives(subject,begin_ms,pid,start_time) VALUES(?,?,?,?)")        \
	X(LIFE_CLOSE, "UPDATE lives SET end_ms=?2 WHERE subject=?1 AND end_ms IS NULL")           \
	X(LIVES_CLOSE, "UPDATE lives SET end_ms=max(begin_ms+1,?) WHERE end_ms IS NULL")          \
	X(LIVES, "SELECT begin_ms,end_ms,pid,start_time FROM lives WHERE subject=?1"              \
		 " AND begin_ms>=coalesce((SELECT max(begin_ms) FROM lives"                       \
		 " WHERE subject=?1 AND begin_ms<=?2),?2) ORDER BY begin_ms")                     \
	X(LIVES_DELETE, "DELETE FROM lives WHERE subject=? AND end_ms<=?")                        \
	X(PASS_LAST, "SELECT begin_ms,end_ms,count FROM passes ORDER BY begin_ms DESC LIMIT 1")   \
	X(PASS_FIRST, "SELECT min(begin_ms) FROM passes")                                         \
	X(PASS_ADD, "INSERT INTO passes VALUES(?1,?1,1)")                                         \
	X(PASS_EXTEND, "UPDATE passes SET end_ms=?2,count=count+1 WHERE begin_ms=?1")             \
	X(PASSES, "SELECT begin_ms,end_ms,count FROM passes WHERE"                                \
		  " begin_ms>=coalesce((SELECT max(begin_ms) FROM passes WHERE begin_ms<=?1),?1)" \
		  " ORDER BY begin_ms")                                                           \
	X(PASS_NEXT,                                                                              \
	  "SELECT begin_ms,end_ms FROM passes WHERE end_ms>=? ORDER BY begin_ms LIMIT 1")         \
	X(PASSES_DELETE, "DELETE FROM passes WHERE end_ms<?")                                     \
	X(SAMPLE_ADD, "INSERT INTO samples(id,subject" SQL_VALUES ") VALUES(?,?" SQL_MARKS ")")   \
	X(SAMPLE_LAST, "SELECT max(id) FROM samples")                                             \
	X(SAMPLE_COUNT, "SELECT count(*) FROM samples")                                           \
	X(SAMPLES, "SELECT id>>20" SQL_VALUES " FROM samples WHERE subject=?1 AND id>=?2"         \
		   " AND id<?3 ORDER BY id")                                                      \
	X(SAMPLES_OF_MANY, "SELECT id>>20" SQL_VALUES ",subject FROM samples WHERE id>=?2"        \
			   " AND id<?3 AND subject>=?1 AND subject<=?4 ORDER BY id")              \
	X(SAMPLES_DELETE, "DELETE FROM samples WHERE id<?1 AND id<=(SELECT max(id) FROM"          \
			  " (SELECT id FROM samples ORDER BY id LIMIT 4000))")                    \
	X(MINUTES, "SELECT t_ms" SQL_VALUES " FROM minutes WHERE hour_ms=? AND subject=?"         \
		   " AND t_ms<? ORDER BY t_ms")                                                   \
	X(MINUTE_NEXT, "SELECT min(hour_ms) FROM minutes WHERE hour_ms>?")                        \
	X(MINUTE_LAST, "SELECT t_ms" SQL_VALUES " FROM minutes WHERE hour_ms=? AND subject=?"     \
		       " ORDER BY t_ms DESC LIMIT 1")                                             \
	X(MINUTE_ADD, "INSERT OR REPLACE INTO minutes(hour_ms,subject,t_ms" SQL_VALUES            \
		      ") VALUES(?,?,?" SQL_MARKS ")")                                             \
	X(MINUTES_DELETE, SQL_DELETE_OLDEST("minutes", "hour_ms"))                                \
	X(HOURS, "SELECT t_ms" SQL_VALUES ",rss_min,rss_max FROM hours WHERE day_ms=?"            \
		 " AND subject=? AND t_ms<? ORDER BY t_ms")                                       \
	X(HOUR_NEXT, "SELECT min(day_ms) FROM hours WHERE day_ms>?")                              \
	X(HOUR_LAST, "SELECT t_ms" SQL_VALUES ",rss_min,rss_max FROM hours WHERE day_ms=?"        \
		     " AND subject=? ORDER BY t_ms DESC LIMIT 1")                                 \
	X(HOUR_ADD, "INSERT OR REPLACE INTO hours(day_ms,subject,t_ms" SQL_VALUES                 \
		    ",rss_min,rss_max) VALUES(?,?,?" SQL_MARKS ",?,?)")                           \
	X(HOURS_DELETE, SQL_DELETE_OLDEST("hours", "day_ms"))                                     \
	X(CARRIED_GET,                                                                            \
	  "SELECT 0" SQL_PASS_VALUES COMPONENTS_CENSUS(SQL_NULL) " FROM carried WHERE subject=?") \
	X(CARRIED_PUT, "INSERT OR REPLACE INTO carried(subject" SQL_PASS_VALUES                   \
		       ") VALUES(?" SQL_PASS_MARKS ")")                                           \
	X(CARRIED_DELETE, "DELETE FROM carried WHERE subject=?")                                  \
	X(TIER_GET, "SELECT from_ms,rows,dropped FROM tiers WHERE tier=?")                        \
	X(TIER_PUT, "INSERT OR REPLACE INTO tiers(tier,from_ms,rows,dropped) VALUES(?,?,?,?)")    \
	X(STATE_PUT, "INSERT OR REPLACE INTO state(subject,key,value) VALUES(?,?,?)")             \
	X(STATE_GET, "SELECT value FROM state WHERE subject=? AND key=?")                         \
	X(STATE_DELETE, "DELETE FROM state WHERE subject=?")                                      \
	X(INCIDENT_PUT, "INSERT OR REPLACE INTO incidents VALUES(" SQL_INCIDENT_MARKS ")")        \
	X(INCIDENTS, "SELECT * FROM incidents WHERE (?1=0 OR subject=?1) AND"                     \
		     " (begin_ms>=?2 OR end_ms IS NULL) ORDER BY begin_ms,id")                    \
	X(INCIDENT_COUNT, "SELECT count(*) FROM incidents")                                       \
	X(INCIDENT_OLDEST, "SELECT id FROM incidents ORDER BY end_ms IS NULL,begin_ms LIMIT 1")   \
	X(INCIDENT_DELETE, "DELETE FROM incidents WHERE id=?")                                    \
	X(EVIDENCE_PUT, "INSERT OR REPLACE INTO evidence(incident,name,size,bytes)"               \
			" VALUES(?,?,?,?)")                                                       \
	X(EVIDENCE_GET, "SELECT size,bytes FROM evidence WHERE incident=? AND name=?")            \
	X(EVIDENCE_LIST, "SELECT name,size FROM evidence WHERE incident=? ORDER BY name")         \
	X(EVIDENCE_TOTAL, "SELECT total(length(bytes)) FROM evidence")                            \
	X(EVIDENCE_DELETE, "DELETE FROM evidence WHERE incident=?")                               \
	X(EVIDENCE_OLDEST, "SELECT incident FROM evidence ORDER BY incident LIMIT 1")

#define STORE_SQL_ENUM(name, text) SQL_##name,
enum store_sql { STORE_SQL(STORE_SQL_ENUM) SQL_MAX };
#undef STORE_SQL_ENUM

#endif

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

/* Rows of a subject in [?2, ?3), and the one before them that holds at ?2. */
#define SQL_RANGE(table, extremes)                                                           \
	"SELECT t_ms" SQL_VALUES extremes " FROM " table " WHERE subject=?1 AND t_ms<?3 AND" \
	" t_ms>=coalesce((SELECT max(t_ms) FROM " table                                      \
	" WHERE subject=?1 AND t_ms<=?2),?2) ORDER BY t_ms"

/*
 * Every statement, prepared when it is first used. Each reads a range of a primary key or of an
 * index; but for those of the table recent, which is small (RECENT_MAX).
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
	X(SUBJECT_NEXT, "SELECT min(id) FROM subjects WHERE id>?")                                \
	X(SUBJECT_WAKE, "UPDATE subjects SET fold_ms=min(fold_ms,?) WHERE id=?")                  \
	X(SUBJECT_FOLDED, "UPDATE subjects SET fold_ms=? WHERE id=?")                             \
	X(SUBJECT_TO_FOLD, "SELECT id,fold_ms FROM subjects WHERE fold_ms<? ORDER BY fold_ms"     \
			   " LIMIT 1")                                                            \
	X(SUBJECT_DELETE, "DELETE FROM subjects WHERE id=?1 AND fold_ms=?2"                       \
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
	X(PASS_ADD, "INSERT INTO passes VALUES(?1,?1,1)")                                         \
	X(PASS_EXTEND, "UPDATE passes SET end_ms=?2,count=count+1 WHERE begin_ms=?1")             \
	X(PASSES, "SELECT begin_ms,end_ms,count FROM passes WHERE"                                \
		  " begin_ms>=coalesce((SELECT max(begin_ms) FROM passes WHERE begin_ms<=?1),?1)" \
		  " ORDER BY begin_ms")                                                           \
	X(PASSES_DELETE, "DELETE FROM passes WHERE end_ms<?")                                     \
	X(RECENT_ADD, "INSERT INTO recent(subject,t_ms" SQL_VALUES ") VALUES(?,?" SQL_MARKS ")")  \
	X(RECENT,                                                                                 \
	  "SELECT t_ms" SQL_VALUES " FROM recent WHERE subject=?1 AND t_ms<?3 ORDER BY id")       \
	X(RECENT_SPREAD, "INSERT OR IGNORE INTO samples(subject,t_ms" SQL_VALUES                  \
			 ") SELECT subject,t_ms" SQL_VALUES " FROM recent"                        \
			 " WHERE subject BETWEEN ?1 AND ?2 AND id<=?3 ORDER BY subject,t_ms")     \
	X(RECENT_SUBJECT, "SELECT min(subject) FROM recent WHERE subject>?1 AND id<=?2")          \
	X(RECENT_LAST, "SELECT max(id) FROM recent")                                              \
	X(RECENT_DELETE, "DELETE FROM recent WHERE id<=?1")                                       \
	X(RECENT_STATE, "SELECT count(*),min(t_ms) FROM recent")                                  \
	X(SAMPLES, SQL_RANGE("samples", ""))                                                      \
	X(MINUTES, SQL_RANGE("minutes", ""))                                                      \
	X(HOURS, SQL_RANGE("hours", ",rss_min,rss_max"))                                          \
	X(MINUTE_ADD,                                                                             \
	  "INSERT OR REPLACE INTO minutes(subject,t_ms" SQL_VALUES ") VALUES(?,?" SQL_MARKS ")")  \
	X(HOUR_ADD, "INSERT OR REPLACE INTO hours(subject,t_ms" SQL_VALUES                        \
		    ",rss_min,rss_max) VALUES(?,?" SQL_MARKS ",?,?)")                             \
	/* What lies before ?2, but for the row that holds at that time. */                       \
	X(SAMPLES_DELETE, "DELETE FROM samples WHERE subject=?1 AND t_ms<(SELECT max(t_ms)"       \
			  " FROM samples WHERE subject=?1 AND t_ms<=?2)")                         \
	X(MINUTES_DELETE, "DELETE FROM minutes WHERE subject=?1 AND t_ms<(SELECT max(t_ms)"       \
			  " FROM minutes WHERE subject=?1 AND t_ms<=?2)")                         \
	X(HOURS_DELETE, "DELETE FROM hours WHERE subject=?1 AND t_ms<(SELECT max(t_ms)"           \
			" FROM hours WHERE subject=?1 AND t_ms<=?2)")                             \
	X(SAMPLES_END, "DELETE FROM samples WHERE subject=?1 AND t_ms<?2")                        \
	X(MINUTES_END, "DELETE FROM minutes WHERE subject=?1 AND t_ms<?2")                        \
	X(HOURS_END, "DELETE FROM hours WHERE subject=?1 AND t_ms<?2")                            \
	X(PEAK, "SELECT max(rss_max),t_ms FROM hours WHERE subject=? AND t_ms>=?")                \
	X(TIER_GET, "SELECT from_ms,rows,dropped FROM tiers WHERE tier=?")                        \
	X(TIER_PUT, "INSERT OR REPLACE INTO tiers(tier,from_ms,rows,dropped) VALUES(?,?,?,?)")    \
	X(STATE_PUT, "INSERT OR REPLACE INTO state(subject,key,value) VALUES(?,?,?)")             \
	X(STATE_GET, "SELECT value FROM state WHERE subject=? AND key=?")                         \
	X(STATE_DELETE, "DELETE FROM state WHERE subject=?1 AND ?2=0")                            \
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

/* The hand-over of a guest, as a model that spin checks (scripts/check_model.sh).
 *
 * Two programs, source and destination, and a connection that carries messages in order until it is cut. What was on
 * its way at a cut is lost or arrives, whichever is worse. Up to CUTS cuts and CRASHES crashes happen at any moment.
 *
 * Three modes, chosen with -DMODE=...:
 *   1  precopy without return path       2  precopy with return path       3  postcopy with recovery
 *
 * Checked in every state:  the guest never runs on both sides.
 * Checked at the end:      if a side that is alive holds the whole guest, the guest runs, or waits stopped on a side
 *                          that knows why and lets an operator decide; and nobody waits for what cannot come.
 *
 * -DBUG=... plants a mistake that the check has to find:
 *   1  the source runs the guest again when the return path breaks without a verdict
 *   2  the destination runs the guest when it has loaded the devices, before the byte of the hand-over
 *   3  the source runs the guest again when the connection breaks behind the package
 *   4  the source forgets pages as soon as they are sent
 *
 * The names are the code's: `here`, `unknown`, `there` are the values of Owner (src/engine/ownership.h).
 */
#ifndef MODE
#define MODE 2
#endif
#ifndef BUG
#define BUG 0
#endif
#ifndef CUTS
#define CUTS 2
#endif
#ifndef CRASHES
#define CRASHES 2
#endif
#define RETURN_PATH (MODE >= 2)
#define POSTCOPY (MODE == 3)

mtype = { ram, devices, ping, eof_byte, package, page };          /* to the destination */
mtype = { pong, shut_ok, shut_failed, all_received };             /* to the source */
mtype = { here, unknown, there };                                 /* Owner */
mtype = { working, paused, completed, failed, dead };             /* of a program */

chan to_destination = [4] of { mtype };
chan to_source = [4] of { mtype };
bool connected = true;

mtype owner = here;                 /* the source's knowledge */
mtype source_status = working;
mtype destination_status = working;
bool source_runs = true;
bool destination_runs = false;
bool destination_whole = false;     /* holds every page and the devices */
bool source_has_pages = true;       /* what was not acknowledged is still there */
bool operator_may_decide = false;   /* stopped on the source, which says that the destination may run the guest */
byte cuts = 0;
byte crashes = 0;

#define source_alive (source_status != dead)
#define destination_alive (destination_status != dead)

/* The kernel takes a message, or the connection is known to be gone. */
#define SEND(channel, message, gone) \
  if \
  :: atomic { connected -> channel ! message } \
  :: !connected -> gone \
  fi

/* Takes a message, or finds the connection gone with nothing left in it. */
#define RECEIVE(channel, message, gone) \
  if \
  :: channel ? message \
  :: !connected && empty(channel) -> gone \
  fi

inline give_back(next) {
  source_runs = true;
  source_status = next
}

/* What ends closes its end. */
inline exit_destination() {
  atomic { connected = false; destination_status = dead }
}

/* ---- precopy: OutgoingMigration, its phases in order */
proctype PrecopySource() provided (source_alive) {
  mtype answer;

  /* setup and active: the guest runs while its memory is sent */
  SEND(to_destination, ram, give_back(failed); goto end);

  /* switchover: stop, the rest of RAM, the devices */
  source_runs = false;
  SEND(to_destination, devices, give_back(failed); goto end);

#if RETURN_PATH
  /* confirm_destination: a last sign of life while the guest is still ours */
  SEND(to_destination, ping, give_back(failed); goto end);
  RECEIVE(to_source, answer, give_back(failed); goto end);
  if
  :: answer == shut_failed -> give_back(failed); goto end
  :: else
  fi;
#endif

  /* hand_over: one byte. The kernel takes it or it does not. */
  owner = unknown;
  SEND(to_destination, eof_byte, owner = here; give_back(failed); goto end);

  /* await_destination */
#if RETURN_PATH
#if BUG == 1
  RECEIVE(to_source, answer, owner = here; give_back(failed); goto end);
#else
  RECEIVE(to_source, answer, operator_may_decide = true; source_status = failed; goto end);
#endif
  if
  :: answer == shut_ok -> owner = there; source_status = completed
  :: answer == shut_failed -> owner = here; give_back(failed)
  fi;
#else
  operator_may_decide = true;   /* 'completed', stands still; cont is the operator's */
  source_status = completed;
#endif
end:
  skip
}

proctype PrecopyDestination() provided (destination_alive) {
  mtype message;

  RECEIVE(to_destination, message, exit_destination(); goto end);
  RECEIVE(to_destination, message, exit_destination(); goto end);
  if
  :: skip
  :: /* the state does not load: it says so and ends */
#if RETURN_PATH
     SEND(to_source, shut_failed, skip);
#endif
     exit_destination();
     goto end
  fi;
#if BUG == 2
  destination_runs = true;
#endif
#if RETURN_PATH
  RECEIVE(to_destination, message, exit_destination(); goto end);
  SEND(to_source, pong, exit_destination(); goto end);
#endif
  RECEIVE(to_destination, message, exit_destination(); goto end);
  destination_whole = true;
  destination_runs = true;
  destination_status = completed;
#if RETURN_PATH
  SEND(to_source, shut_ok, skip);
#endif
end:
  skip
}

/* ---- postcopy with recovery */
byte pages_missing = 2;

proctype PostcopySource() provided (source_alive) {
  mtype answer;

  SEND(to_destination, ram, give_back(failed); goto end);
  source_runs = false;
  /* the package ends with RUN: a part of it can be sent, and then the destination throws it away */
  if
  :: !connected -> give_back(failed); goto end
  :: connected ->
     owner = unknown;
     SEND(to_destination, package, owner = here; give_back(failed); goto end)
  fi;

  /* the guest is the destination's; every page stays here until it is acknowledged */
  do
  :: atomic { source_status == working && connected && nfull(to_destination) && pages_missing > 0 ->
       to_destination ! page;
       source_has_pages = (BUG != 4) }
  :: atomic { source_status == working && nempty(to_source) -> to_source ? answer };
     if
     :: answer == all_received -> owner = there; source_has_pages = false; source_status = completed; goto end
     :: else
     fi
  :: source_status == working && !connected && empty(to_source) ->
#if BUG == 3
     owner = here;
     give_back(failed);
     goto end
#else
     operator_may_decide = true;
     source_status = paused
#endif
  :: source_status == paused && connected -> source_status = working
  :: source_status == paused && !connected && cuts == CUTS && !destination_alive -> goto end
  :: source_status == working && connected && pages_missing == 0 && empty(to_source) && !destination_alive ->
     connected = false
  od;
end:
  skip
}

proctype PostcopyDestination() provided (destination_alive) {
  mtype message;

  RECEIVE(to_destination, message, exit_destination(); goto end);
  RECEIVE(to_destination, message, exit_destination(); goto end);
  destination_runs = true;
  do
  :: atomic { destination_status == working && nempty(to_destination) -> to_destination ? message };
     if
     :: message == page && pages_missing > 0 -> pages_missing--
     :: else
     fi
  :: destination_status == working && pages_missing == 0 ->
     destination_whole = true;
     SEND(to_source, all_received, skip);
     destination_status = completed;
     goto end
  :: destination_status == working && pages_missing > 0 && !connected && empty(to_destination) ->
     destination_status = paused
  :: destination_status == paused && connected -> destination_status = working
  :: destination_status == paused && !source_alive -> goto end
  od;
end:
  skip
}

/* ---- the world */
proctype World() {
  mtype lost;

  do
  :: atomic { connected && cuts < CUTS ->
       connected = false;
       cuts++;
       /* what is on its way arrives, or the rest of it does not */
       do
       :: to_destination ? lost
       :: break
       od;
       do
       :: to_source ? lost
       :: break
       od
     }
  :: atomic { source_alive && crashes < CRASHES ->
       source_status = dead; source_runs = false; connected = false; crashes++ }
  :: atomic { destination_alive && crashes < CRASHES ->
       destination_status = dead; destination_runs = false; destination_whole = false; connected = false; crashes++ }
  :: atomic { POSTCOPY && !connected && source_status == paused && destination_status == paused ->
       connected = true }   /* migrate-recover there, migrate with resume here */
  :: break
  od
}

/* ---- what must hold */
active proctype Never_both() {
  assert(!(source_runs && destination_runs))
}

active proctype End() {
  timeout;
  /* nobody waits for what cannot come */
  assert(!source_alive || source_status != working);
  assert(!destination_alive || destination_status != working);
  /* precopy: whoever holds the whole guest and lives, runs it or leaves it to an operator who is told */
  if
  :: MODE < 3 && source_alive && owner == here -> assert(source_runs)
  :: else
  fi;
  if
  :: destination_alive && destination_whole -> assert(destination_runs)
  :: else
  fi;
  if
  :: source_alive && owner == unknown -> assert(operator_may_decide && !source_runs)
  :: else
  fi;
  /* postcopy: two live sides are never left with a guest in two halves that cannot be joined */
  if
  :: POSTCOPY && source_alive && destination_alive && destination_runs && !destination_whole ->
     assert(source_has_pages && source_status == paused && destination_status == paused)
  :: else
  fi
}

init {
  atomic {
#if POSTCOPY
    run PostcopySource();
    run PostcopyDestination();
#else
    run PrecopySource();
    run PrecopyDestination();
#endif
    run World()
  }
}

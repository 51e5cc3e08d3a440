// A randomised test: goroutines send, receive, select, lock, wait and sleep as a seed says, and a simple model (rt_model_history.h) is asked whether
// what they saw is possible.
//
//   rt_model [SEED [ROUNDS]]: the seed is printed; what the goroutines do is the same each time, how they meet is not
#include <stacktide/select.h>

#include <chrono>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#include "rt_model_history.h"

namespace {

using rt::Did;
using rt::Operation;
using rt::ticket;
using stacktide::channel;
using stacktide::go;
using stacktide::on_recv;
using stacktide::on_send;
using stacktide::select;

class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(static_cast<std::uint_fast32_t>(seed * 2654435761U + 1)) {}
  std::size_t below(std::size_t n) { return engine_() % n; }
  std::chrono::microseconds moment() { return std::chrono::microseconds(below(150)); }
  std::uint64_t seed() { return engine_(); }

 private:
  std::minstd_rand engine_;
};

// A value that lies in the heap on its way, and one that does not.
struct Parcel {
  explicit Parcel(long n) : number(n), text("parcel " + std::to_string(n) + " is too long to lie in place") {}
  long number;
  std::string text;
};
long number_of(long value) { return value; }
long number_of(const Parcel& parcel) {
  RT_CHECK(parcel.text == Parcel(parcel.number).text);
  return parcel.number;
}

constexpr std::size_t kChannels = 3;
constexpr std::size_t kMutexes = 2;
constexpr std::size_t kOnces = 2;

// What the goroutines of a round share.
template <class T>
struct World {
  std::vector<std::size_t> capacities;
  std::vector<channel<T>> channels;
  std::vector<stacktide::mutex> mutexes = std::vector<stacktide::mutex>(kMutexes);
  std::vector<stacktide::once> onces = std::vector<stacktide::once>(kOnces);
  stacktide::wait_group senders;
  stacktide::mutex collecting;
  rt::History history;
  std::atomic<bool> over = false;

  explicit World(Random& random) {
    for (std::size_t i = 0; i < kChannels; ++i) {
      capacities.push_back(random.below(2) * random.below(4));
      channels.push_back(channel<T>::make(capacities.back()));
    }
  }
};

// One goroutine of a round: does as its random numbers say, and keeps a log.
template <class T>
class Actor {
 public:
  Actor(std::shared_ptr<World<T>> world, std::uint64_t seed) : w_(std::move(world)), random_(seed) {}

  // Sends values first, first + 1, ... on any channel, or not if that fails.
  void send_values(long first, long count) {
    for (long value = first; value < first + count; ++value) {
      const std::size_t c = random_.below(kChannels);
      const std::size_t d = random_.below(kChannels);
      const std::uint64_t start = ticket();
      switch (random_.below(10)) {
        case 0:
        case 1:
          w_->channels[c].send(T(value));
          note(Did::send, c, value, start);
          break;
        case 2: note(w_->channels[c].try_send(T(value)) ? Did::send : Did::no_send, c, value, start); break;
        case 3: select(sends(c, value, start), stacktide::otherwise([&] { note(Did::no_send, c, value, start); })); break;
        case 4: select(sends(c, value, start), sends(d, value, start), stacktide::after(random_.moment())); break;
        case 5: select(sends(c, value, start), receives(d, start)); break;
        case 6: lock(random_.below(kMutexes)); break;
        case 7: try_lock(random_.below(kMutexes)); break;
        case 8: call_once(random_.below(kOnces)); break;
        default: sleep();
      }
    }
    const std::uint64_t start = ticket();
    w_->senders.done();
    note(Did::done, 0, 0, start);
  }

  // Receives from any channel until it sees one closed.
  void receive_any() {
    while (!closed_) {
      const std::size_t c = random_.below(kChannels);
      const std::size_t d = random_.below(kChannels);
      const std::uint64_t start = ticket();
      switch (random_.below(5)) {
        case 0:
          received(c, start, w_->channels[c].recv());
          break;
        case 1: select(receives(c, start), receives(d, start)); break;
        case 2: select(receives(c, start), stacktide::after(random_.moment())); break;
        case 3:
          select(receives(c, start), receives(d, start), stacktide::otherwise([&] {
                   note(Did::no_receive, c, 0, start);
                   note(Did::no_receive, d, 0, start);
                   stacktide::yield();
                 }));
          break;
        default: sleep();
      }
    }
  }

  // Receives from one channel until it is closed, so that nobody waits for a receiver in vain.
  void receive_one(std::size_t c) {
    while (!closed_) {
      const std::uint64_t start = ticket();
      received(c, start, w_->channels[c].recv());
    }
  }

  void close_all() {
    const std::uint64_t waiting = ticket();
    w_->senders.wait();
    note(Did::waited, 0, 0, waiting);
    for (std::size_t c = 0; c < kChannels; ++c) {
      const std::uint64_t start = ticket();
      w_->channels[c].close();
      note(Did::close, c, 0, start);
    }
  }

  ~Actor() {
    const std::lock_guard guard(w_->collecting);
    w_->history.add(log_);
  }
  Actor(const Actor&) = delete;
  Actor& operator=(const Actor&) = delete;

 private:
  void note(Did did, std::size_t object, long value, std::uint64_t start) { log_.push_back({did, object, value, start, ticket()}); }

  void received(std::size_t c, std::uint64_t start, std::optional<T> value) {
    note(value ? Did::receive : Did::closed, c, value ? number_of(*value) : 0, start);
    if (!value) closed_ = true;
  }
  auto sends(std::size_t c, long value, std::uint64_t start) {
    return on_send(w_->channels[c], T(value), [this, c, value, start] { note(Did::send, c, value, start); });
  }
  auto receives(std::size_t c, std::uint64_t start) {
    return on_recv(w_->channels[c], [this, c, start](std::optional<T> value) { received(c, start, std::move(value)); });
  }

  void hold(std::size_t m) {
    const std::uint64_t start = ticket();
    if (random_.below(3) == 0) stacktide::yield();
    if (random_.below(9) == 0) sleep();
    note(Did::hold, m, 0, start);
  }
  void lock(std::size_t m) {
    const std::uint64_t start = ticket();
    {
      const std::lock_guard guard(w_->mutexes[m]);
      hold(m);
    }
    note(Did::wants, m, 0, start);
  }
  void try_lock(std::size_t m) {
    const std::uint64_t start = ticket();
    const bool locked = w_->mutexes[m].try_lock();
    if (locked) {
      hold(m);
      w_->mutexes[m].unlock();
    }
    note(locked ? Did::wants : Did::no_lock, m, 0, start);
  }
  void call_once(std::size_t o) {
    const std::uint64_t call = ticket();
    w_->onces[o].call([this, o] {
      const std::uint64_t start = ticket();
      sleep();
      note(Did::once_body, o, 0, start);
    });
    note(Did::once_call, o, 0, call);
  }
  void sleep() {
    const auto wanted = random_.moment();
    const auto start = std::chrono::steady_clock::now();
    stacktide::sleep_for(wanted);
    RT_CHECK(std::chrono::steady_clock::now() - start >= wanted);
  }

  std::shared_ptr<World<T>> w_;
  Random random_;
  std::vector<Operation> log_;
  bool closed_ = false;
};

// Starts `act(actor)` in a goroutine, some calls deep.
template <class T, class Act>
void start(const std::shared_ptr<World<T>>& world, const stacktide::wait_group& finished, Random& random, Act act) {
  finished.add(1);
  go([=, seed = random.seed(), depth = random.below(40)] {
    {
      const auto actor = std::make_unique<Actor<T>>(world, seed);
      const auto deep = [&] { act(*actor); };
      rt::below(static_cast<int>(depth), deep);
    }
    finished.done();
  });
}

// The first goroutine of a round.
template <class T>
void act(const std::shared_ptr<World<T>>& world, std::size_t senders, Random& random) {
  const stacktide::wait_group finished;
  world->senders.add(static_cast<std::int64_t>(senders));
  for (std::size_t c = 0; c < kChannels; ++c) start(world, finished, random, [=](Actor<T>& actor) { actor.receive_one(c); });
  for (std::size_t i = random.below(4); i > 0; --i) start(world, finished, random, [](Actor<T>& actor) { actor.receive_any(); });
  for (std::size_t i = 0; i < senders; ++i) {
    start(world, finished, random, [=](Actor<T>& actor) { actor.send_values(static_cast<long>(i) * 1000, 40); });
  }
  start(world, finished, random, [](Actor<T>& actor) { actor.close_all(); });
  if (random.below(2) == 0) {
    go([=] {
      for (; !world->over; stacktide::yield()) stacktide::shrink_stacks();
    });
  }
  finished.wait();
  world->over = true;
}

template <class T>
void round(std::uint64_t seed) {
  Random random(seed);
  const auto world = std::make_shared<World<T>>(random);
  const std::size_t senders = 1 + random.below(5);
  stacktide::run([&] { act(world, senders, random); });
  // Outside of goroutines: the model's maps point back at the stack they lie on, which movable code may not do.
  for (std::size_t c = 0; c < kChannels; ++c) {
    RT_CHECK(world->channels[c].waiting() == 0 && world->channels[c].size() == 0);
    world->history.check_channel(c, world->capacities[c]);
  }
  for (std::size_t m = 0; m < kMutexes; ++m) world->history.check_mutex(m);
  for (std::size_t o = 0; o < kOnces; ++o) world->history.check_once(o);
  world->history.check_group(0, senders);
}

}  // namespace

int main(int argc, char** argv) {
  const std::uint64_t seed = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : std::random_device()();
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 50;
  std::printf("rt_model %llu %d\n", static_cast<unsigned long long>(seed), rounds);
  std::fflush(stdout);
  Random random(seed);
  for (int i = 0; i < rounds; ++i) {
    const std::uint64_t next = random.seed();
    i % 2 == 0 ? round<long>(next) : round<Parcel>(next);
  }
  std::printf("%d rounds: right\n", rounds);
}

// Which types pin the frames that hold them: objects whose heap blocks may point back at a stack.
//
// Concept. A copy finds every pointer in the stack itself, none in the heap. What MOVABLE promises covers what a program
// writes down; C++ libraries write down more: the root of a std::map is pointed to by its nodes, a vector of pointers by its
// owner. Two questions are asked of a type, and answered by name for what the library defines, by its members for everything
// else:
//   may it stand in a frame that moves?     its heap blocks hold no address of the object, nor of another local
//   may it stand in the heap?               it holds no address that could be a local's
// Raw pointers and references in the program's own types may stand in a frame (the promise), but not in a heap block that a
// library type owns. A type that is not known pins: to link where a copy would have done costs time, the other way round
// data.
//
// Rejected: only the types that are known to point back (new libraries bring new ones); looking for pointers to a type
// within itself (std::function hides what it holds).
#pragma once

#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "debug_tree.h"

namespace stacktide::link {

class PinJudge {
 public:
  explicit PinJudge(DebugTree& tree) : tree_(tree) {}
  // Does an object of this type pin the frame that it lies in?
  bool pins(Dwarf_Die type);
  // Does a variable or parameter pin: by its own type, or as a reference to an object that does? `is_this`: the object that
  // a member function is called for, which may be somebody's temporary.
  bool variable_pins(Dwarf_Die type, bool is_this);
  // Does a call of this function leave a pinning temporary with its caller: by constructing or destroying one, or returning
  // it?
  bool call_pins(Dwarf_Die& function, std::string& type);

 private:
  enum class Place { frame, heap };
  bool may_stand(Dwarf_Die type, Place place, int depth);
  bool class_may_stand(Dwarf_Die& type, Place place, int depth);
  bool members_may_stand(Dwarf_Die& type, Place place, bool own_pointers, int depth);
  bool arguments_may_stand(Dwarf_Die& type, Place place, int depth);
  bool arguments_may_stand_in_heap(Dwarf_Die& type, int depth);

  DebugTree& tree_;
  std::unordered_map<const void*, bool> known_[2];    // by place
  std::vector<std::pair<Place, const void*>> fresh_;  // entered by the question that is being answered
};

}  // namespace stacktide::link

"""The lines of the support desk: what customers of each style, and agents, say for each act of a dialogue.

Names in braces are filled in by `support_desk_dialogue.py`. Customers' lines are written without contractions; all
styles but the formal one contract them (`support_desk_spelling.py`). The sloppy style has no lines of its own: it
borrows and misspells.
"""

from __future__ import annotations

Lines = tuple[str, ...]

FORMAL: dict[str, Lines] = {
    "name": ("Good morning, my name is {full}.", "Hello, {full} speaking.", "Good evening. I am {full}.",
             "Good afternoon, {full} here."),
    "matter": ("I am writing about my {product}: {said}.", "I bought a {product} from you in {month}, and {said}.",
               "My {product} is giving me trouble. {said}.", "I would like some help with a {product}. {said}.",
               "There is a fault with the {product} I ordered. {said}.",
               "I regret to say that my {product} disappoints me. {said}.",
               "Could you advise me on my {product}? Since {month}, {said}."),
    "product": ("I have a question about my {product}.", "It concerns the {product} I bought in {month}.",
                "I need advice about a {product}, please."),
    "guess": ("I suspect the {guess}.", "Could the {guess} be the reason?", "My own guess would be the {guess}."),
    "done": ("I have already tried {doing}, in vain.", "So far I tried {doing}, which changed nothing."),
    "order": ("The order number is {order}.", "My order is number {order}, if you need it."),
    "wait": ("Certainly. One moment, please.", "Very well, let me see.", "I will try that now."),
    "worked": ("That seems to have worked, thank you.", "Indeed, all is well now.", "It is behaving again. Excellent."),
    "failed": ("I am afraid nothing has changed.", "Unfortunately it is just the same.",
               "Sadly, that makes no difference.",
               "I have done so, without success."),
    "accept": ("That would suit me.", "Yes, please do that.", "That is acceptable, thank you.", "I agree to that."),
    "busy": ("I am afraid I am away on {day}.", "{day} is not possible for me.", "I work all of {day}, sorry."),
    "bye": ("Thank you for your help.", "Much obliged. Goodbye.", "No, that was all. Thank you."),
}  # fmt: skip

TERSE: dict[str, Lines] = {
    "name": ("{full} here.", "{name} here.", "Hi, {name}.", "It is {name} again."),
    "matter": ("{product}: {said}.", "My {product}. {said}.", "Problem with my {product}, {said}.",
               "Need help. My {product}, {said}.", "Bought a {product} in {month}. Now {said}.",
               "{said}. The {product}, I mean."),
    "product": ("Need help with a {product}.", "My {product} is playing up.", "It is the {product}."),
    "guess": ("Must be the {guess}.", "The {guess}, I think.", "Is it the {guess}?"),
    "done": ("Tried {doing}. Nothing.", "{doing} did nothing, before you ask."),
    "order": ("Order {order}.", "Number is {order}."),
    "wait": ("Wait.", "Trying.", "One second."),
    "worked": ("Works now.", "Yes, fixed.", "That did it."),
    "failed": ("No.", "No change.", "Same as before.", "Still bad.", "Did that. No."),
    "accept": ("Fine.", "OK.", "Good.", "Yes.", "Do that."),
    "busy": ("Not {day}.", "Out on {day}.", "{day} is bad."),
    "bye": ("Thanks.", "Bye.", "That is all.", "No. Thanks."),
}  # fmt: skip

CHATTY: dict[str, Lines] = {
    "name": ("Hi there, {name} here!", "Hello! I am {full}, nice to meet you.", "Hey, this is {name}.",
             "Hi, it is {name}, me again I am afraid."),
    "matter": ("So, my {product} has a mind of its own: {said}.", "You will laugh, but my {product}, well, {said}.",
               "I really love my {product}, only now {said}.", "It is about my {product}, {said}, poor thing.",
               "I got this lovely {product} in {month} and guess what, {said}.",
               "Remember the {product} you sold me? Well, {said}, and I so need it.",
               "I was just making tea when I saw that my {product}, how to put it, {said}."),
    "product": ("My {product} is acting up again, can you help?", "I am having a bit of a drama with my {product}.",
                "Well, my {product} and I are not friends today."),
    "guess": ("My {friend} swears it is the {guess}.", "I read online that it is always the {guess}?",
              "I bet it is the {guess}, right?"),
    "done": ("I did try {doing}, but no luck.", "{doing} was my big idea, and it did nothing, ha."),
    "order": ("Oh, and my order was {order}, if that helps.", "I found the order number too, {order}."),
    "wait": ("Sure, hang on, I am walking over.", "OK, give me a minute.",
             "Let me put the cat down first. OK, trying."),
    "worked": ("Oh wow, it works!", "Ha, you are a genius, it is fine now!",
               "Would you believe it, that did the trick."),
    "failed": ("Hmm, no, still the same.", "Nope, no luck.", "I so hoped it would, but no.",
               "Oh well, that was not it.",
               "For a second I thought so, but no."),
    "accept": ("Oh, lovely, let us do that.", "Perfect, thank you!", "Sounds good to me.",
               "Great, I am happy with that."),
    "busy": ("Oh no, {day} is my yoga day.", "On {day} I am at my {friend}'s, sorry!", "Not {day}, we have visitors."),
    "bye": ("You have been so kind, bye!", "Thanks a lot, have a nice day!", "No, that is it. Take care!"),
}  # fmt: skip

ANGRY: dict[str, Lines] = {
    "name": ("{full}. Again.", "This is {full} and I am not happy.", "{name} here, for the third time this week.",
             "My name is {full} and I want this sorted today."),
    "matter": ("Your {product} is a bad joke. {said}!", "I paid good money for this {product} and {said}!",
               "What sort of {product} is this? {said}!", "Never again a {product} from you. {said}.",
               "Half a year old, this {product}, and {said}!", "{said}! A new {product}! Unbelievable.",
               "I want an answer: why do you sell a {product} like that? {said}."),
    "product": ("Your {product} is rubbish.", "I have had it with this {product}!",
                "Who builds a {product} like this?"),
    "guess": ("Obviously it is the {guess}.", "It is that cheap {guess} of yours!",
              "The {guess} was bad from day one."),
    "done": ("And do not tell me about {doing}, I did that twice.", "I already wasted an hour on {doing}."),
    "order": ("Order {order}, as I told your colleague.", "{order} is the order, look it up."),
    "wait": ("Fine, if I must.", "You are joking. All right, wait.", "Again? OK."),
    "worked": ("Well. It works. About time.", "Hm, fine now. Why is that not in the manual?", "It works, finally!"),
    "failed": ("Of course not. Same thing!", "Nothing. What a surprise.", "No! Still broken.",
               "That was a waste of time."),
    "accept": ("All right then.", "Fine. But that is your last chance.", "It had better be true.", "OK, do it."),
    "busy": ("On {day} I have a job to go to!", "{day}? No way.", "Not {day}. Try again."),
    "bye": ("We are done here.", "I will hold you to that.", "Goodbye.", "At least somebody listened."),
}  # fmt: skip

REFUSE: dict[str, Lines] = {
    "replacement": ("I do not want another one of these.", "No new one, please, it would only do the same.",
                    "Not a second one, no."),
    "refund": ("I do not want my money back, thanks.", "Keep the money, that is not the point.",
               "No refund. I like it too much for that."),
    "technician": ("No strangers in my home, please.", "I cannot stay in for that.",
                   "I would rather not have anyone come."),
    "call": ("Please do not call, I never pick up.", "No phone calls, please.", "I cannot take calls at work."),
    "part": ("I am no good at repairs.", "I am not taking it apart myself.", "No, I have no tools for that."),
    "discount": ("A discount does not help me.", "That is not enough.", "I do not want it cheaper, I want it to work."),
}  # fmt: skip
"""What any customer says to an offer that they do not take."""

TRY_FIRST: Lines = (
    "Is there nothing I can try first?", "Before that, can I try something myself?", "Surely there is an easier way?",
)  # fmt: skip
"""The refusal where the step tried next is what solves it."""

AGENT: dict[str, Lines] = {
    "greet": ("Hello, {agent} here. How can I help?", "Support desk, this is {agent}.",
              "Good day, what can I do for you?", "Hi! How can we help?",
              "Hi, you are chatting with {agent}. What is wrong?", "Welcome! My name is {agent}.",
              "You have reached {agent}. Go ahead."),
    "greet_name": ("Hello {name}, {agent} here. What is the matter?", "Hi {name}, how can I help today?",
                   "Good day {name}, you are back with {agent}."),
    "sorry": ("Sorry to hear that, {name}.", "That is no fun, {name}.", "Thanks for telling us.", "Oh dear.", "I see.",
              "That should not happen.", "I am sorry, {name}.", "Right."),
    "met": ("Thanks, {name}.", "Hello {name}.", "Thank you, {name}, I have found you.", "{name}, got you."),
    "ask_name": ("Who am I talking to?", "What is your name, please?", "And your name is?", "Your name, please?"),
    "ask_symptom": ("What does it do?", "What is wrong with it?", "Tell me more.", "In what way?"),
    "ask_order": ("Do you have the order number?", "Order number?", "Which order was it?"),
    "ask_other": ("I see a {other} here. Is it that?", "Is this the {other} from {month}?", "The {other}, you mean?"),
    "not_guess": ("The {guess} is fine, I think.", "It is rarely the {guess}.", "Not the {guess}, by the sound of it."),
    "agent_guess": ("That could be the {guess}.", "I would blame the {guess}.", "Perhaps the {guess}?"),
    "cause": ("I would say {cause}.", "It looks like {cause}.", "We know this one: {cause}.", "That means {cause}.",
              "Our notes say {cause}."),
    "step": ("Could you try {doing}?", "Please {order_step}.", "Let us try {doing}.", "First, {order_step}, please.",
             "What happens if you {order_step}?", "Does {doing} help?", "{order_step}, then look again."),
    "glad": ("Good to hear!", "Glad it helped.", "Great.", "Lovely, {name}."),
    "of_course": ("Of course.", "Yes, there is a way.", "We can try that.", "Good idea."),
    "pity": ("Pity.", "All right.", "Hm.", "Then we need another way.", "Understood.", "Too bad."),
    "anything": ("Anything else?", "Is that all, {name}?", "Can I do more for you?", "Any other question?"),
    "done": ("It is booked.", "Done, {name}.", "You will get a mail.", "Noted.", "All set."),
    "bye": ("Have a good day.", "Bye, {name}.", "Take care.", "You are welcome."),
}  # fmt: skip

OFFER: dict[str, Lines] = {
    "replacement": ("We can send a new one, with you on {day}.", "A replacement could be there {day}.",
                    "I will get you a fresh one by {day}, all right?", "Shall we swap it? The new one comes {day}."),
    "refund": ("I can pay back {amount} dollars within {span}.", "You would get {amount} dollars back within {span}.",
               "Then we refund {amount} dollars. It takes {span}.", "How about {amount} dollars back, within {span}?"),
    "technician": ("I can send someone on {day} {part_of_day}.", "A technician could come {day} {part_of_day}.",
                   "Our technician is near you {day} {part_of_day}.",
                   "Are you home on {day} {part_of_day}, for a repair?"),
    "call": ("A specialist can call you {day} at {time}.", "May our expert ring you on {day} at {time}?",
             "I will have a specialist phone you, {day} at {time}.",
             "Can we call you {day} at {time}? I must ask a specialist."),
    "part": ("I can post a new {part} on {day}.", "We mail you a {part} on {day}, you just swap it.",
             "A new {part} goes in the post {day}, all right?", "Would a spare {part} do? It leaves here {day}."),
    "discount": ("If you keep it, you get {percent} percent off.", "Would {percent} percent off make up for it?",
                 "I can give you {percent} percent back, and you keep it.", "Keep it for {percent} percent less?"),
    "waiting": ("Please send us {proof} first.", "Before I decide I need {proof}.", "Could you mail me {proof}?",
                "I cannot go on without {proof}. Can you send it?"),
}  # fmt: skip

VAGUE: Lines = (
    "Something I bought from you is broken.", "I have a problem with one of my orders.",
    "One of your things has let me down.",
    "I need help with a purchase.",
)  # fmt: skip
CORRECT: Lines = (
    "No, the {product}. {said}.", "The {other} is fine. It is the {product}: {said}.",
    "Not the {other}, my {product}. {said}.",
    "No no, that one works. I mean the {product}, {said}.",
)  # fmt: skip
DENY: Lines = (
    "The {guess} is new.", "No, I checked the {guess}.", "I doubt it, the {guess} is all right.",
    "Not the {guess}, I looked.",
)  # fmt: skip
SEND: Lines = ("I will send it.", "You will have it tonight.", "I will look for it.", "On its way soon.")
SIGNED: Lines = ("Regards, {name}.", "{name}.", "Yours, {full}.", "That was {name}, by the way.")

NEW_DAY: Lines = ("{day}, then?", "What about {day}?", "Would {day} be better?", "Next would be {day}.", "{day}?")

ASIDES: dict[str, Lines] = {
    "other": ("The {other} from the same order is fine.", "My {other} never did such a thing.",
              "Last year it was the {other}.", "And I only just got over the {other}.",
              "It stands next to the {other}, if that matters.", "My old {other} lasted ten years."),
    "person": ("It was a present for my {friend} {person}.",
               "My {friend} {person} has the same one, no trouble at all.",
               "{person}, my {friend}, told me to write to you.", "I share it with {person}, my {friend}.",
               "{person} next door has one too, and it is fine."),
    "small": ("It is raining here, of all days.", "I have guests on {day}, by the way.", "And it is my birthday too.",
              "I have been up since five.", "My train leaves in an hour.", "Lunch break, so I have ten minutes.",
              "I only bought it in {month}.", "My phone is nearly empty.", "We moved house on {day}, what a week.",
              "It cost me {amount} dollars."),
}  # fmt: skip
"""What customers add that does not matter: another product, another person, another day."""

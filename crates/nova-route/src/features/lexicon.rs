//! Words that give a task away, in groups, in English and Chinese and a few in other languages.
//!
//! Phrases are up to four words long (Chinese: four characters). English single words are also found with
//! the endings of verbs and nouns. A look at a word is one probe of a small table.

use super::fold::fold;
use super::words::{Token, step, tokens};
use super::{EDGE, ZONES};

/// How many groups there are.
pub(super) const GROUPS: usize = TABLE.len();

/// The names of the groups, in their order.
pub(super) const NAMES: [&str; GROUPS] = {
    let mut names = [""; GROUPS];
    let mut at = 0;
    while at < GROUPS {
        names[at] = TABLE[at].0;
        at += 1;
    }
    names
};

/// The place of a group, worked out by the compiler.
pub(super) const fn group(name: &str) -> usize {
    let mut at = 0;
    while !is(NAMES[at], name) {
        at += 1;
    }
    at
}

const fn is(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut at = 0;
    while at < one.len() && at < other.len() && one[at] == other[at] {
        at += 1;
    }
    at == one.len() && at == other.len()
}

/// The most words of a phrase.
const LONGEST: usize = 4;
/// Slots of the table, some times as many as there are phrases.
const SLOTS: usize = 16_384;
/// Says of the beginning of a phrase that more may follow; no group has this bit.
const GOES_ON: u64 = 1 << 63;

/// The groups and their phrases, which `|` separates.
#[rustfmt::skip]
const TABLE: [(&str, &str); 45] = [
    ("code: act", "implement|debug|refactor|compile|code|program|script|deploy|unit test|write code|write a program|write a function|write a script|write a query|write a class|write a method|编写|编程|写代码|实现|调试|重构|修复|优化|运行|注释|напиши код|программу|скрипт|código|codigo|programme|programmiere"),
    ("code: thing", "function|script|program|api|class|method|array|variable|algorithm|database|query|regex|bug|code|codebase|compiler|exception|stack trace|traceback|loop|recursion|pointer|struct|string|boolean|integer|endpoint|server|client|frontend|backend|repository|commit|container|cluster|plugin|module|package|library|framework|component|app|website|webpage|button|data structure|linked list|binary tree|hash map|hashmap|queue|stack|terminal|command line|config|json|yaml|xml|csv|html|css|dataframe|tuple|dictionary|pseudocode|parameter|callback|thread|async|代码|函数|程序|脚本|算法|数组|变量|数据库|接口|类名|列表|字典|代码片段|参数|返回值|正则|网页|排序算法|解释器|编译|线程"),
    ("code: language", "python|java|javascript|typescript|c|cpp|c sharp|csharp|rust|golang|go code|bash|shell|powershell|php|ruby|kotlin|swift|scala|matlab|sql|mysql|postgres|postgresql|sqlite|mongodb|react|vue|angular|nextjs|node|nodejs|django|flask|fastapi|spring|laravel|docker|kubernetes|linux|ubuntu|terraform|aws|azure|git|github|numpy|pandas|pytorch|tensorflow|opencv|selenium|playwright|excel|vba|arduino|unity|unreal|qt|latex|assembly|verilog|lua|perl|haskell|dart|flutter|android|ios|redis|kafka|nginx|webpack|graphql|opengl|cuda|spark|airflow|jquery|dotnet|asp|wordpress|blazor|snowflake"),
    ("code: sign", "def|import|return|const|let|var|print|printf|println|console|null|none|true|false|void|int|float|elif|else|self|assert|static|public|private|include|std|foreach|endif|echo|select|insert|lambda|await|args|kwargs|init|sudo|npm|pip|div|img|href|src|async def|error|warning|undefined|typeerror"),
    ("code: review", "review|code review|debug|bug|fix|refactor|optimize|optimise|what is wrong|what s wrong|why does this|not working|doesn t work|improve this code|memory leak|vulnerabilities|race condition|segfault|crash|error|exception|traceback|有什么问题|报错|错误|修复|优化|审查|重构|调试|哪里错"),
    ("math: act", "calculate|compute|solve|prove|evaluate|derive|simplify|factor|factorise|factorize|integrate|differentiate|find the value|find the sum|find the number|find the area|find the probability|how many|show that|determine|expand|approximate|estimate|计算|求解|证明|求出|求|解方程|化简|推导|算出|вычислите|найдите|реши|решите|докажите|calcule|calcular|calcula|berechne|résoudre"),
    ("math: thing", "equation|integral|derivative|matrix|matrices|vector|probability|triangle|rectangle|theorem|polynomial|ratio|percent|percentage|velocity|acceleration|radius|diameter|perimeter|area|volume|angle|sum|product|mean|median|variance|standard deviation|function f|sequence|series|limit|prime|integer|fraction|logarithm|log|sin|cos|tan|theta|sqrt|frac|equals|eigenvalue|hypothesis test|confidence interval|random variable|distribution|convex|graph|circle|sphere|square root|quadratic|linear|coefficient|modulo|divisible|remainder|proof|lemma|algebra|geometry|calculus|方程|数学|三角形|面积|体积|周长|半径|概率|平均|百分|分之|比例|等于|多少|剩下|一共|速度|平方|立方|除以|乘以|加上|减去|数列|整数|小数|分数|几何|长方形|正方形"),
    ("math: quantity", "how many|how much|how long|how far|how old|total|altogether|each|every|per|times as many|twice|half|left|remaining|more than|less than|fewer|cost|price|earn|spend|sold|buy|bought|miles|km|kg|meters|cm|hours|minutes|days|weeks|dollars|dozen|rate|年|共有|每天|每小时|千克|公斤|米|厘米|元|几个|几天|多少个|多少元|多少米|多少天|还剩|平均每|相当于|倍"),
    ("creative: act", "write|compose|create|generate|imagine|invent|make up|tell me a story|write me|continue the|сочини|напиши|придумай|schreibe|schreib|escribe|crea|genera|écris|rédige|escreva|crie|scrivi|创作|撰写|写一|编写一|创造|想象|设想|续写|扮演|生成一|书写|写出|作一首|写首"),
    ("creative: thing", "story|short story|poem|song|lyrics|rap|haiku|sonnet|novel|novella|chapter|scene|dialogue|monologue|screenplay|script|fanfic|fanfiction|fairy tale|fable|joke|riddle|limerick|ballad|verse|tale|plot|character|characters|protagonist|villain|episode|skit|parody|comedy|sitcom|rhyme|stanza|prose|fantasy|anime|crossover|backstory|headcanon|worldbuilding|alternate history|caption|slogan|tagline|pun|故事|诗|诗歌|歌词|小说|剧本|对话|笑话|童话|寓言|散文|情节|角色|人物|韵律|短文|标语|口号|台词|相声|рассказ|стих|стихотворение|сказку|песню|историю|poema|cuento|historia|gedicht|geschichte|poème|histoire|história|storia"),
    ("creative: post", "email|letter|blog|blog post|article|essay|post|tweet|ad|advertisement|cover letter|resume|cv|speech|review|press release|newsletter|description|product description|bio|invitation|announcement|headline|script|podcast|outline|proposal|statement|message|report|memo|toast|eulogy|一篇|文章|作文|论文|邮件|一封|信|演讲|广告|文案|报告|日记|评论|邀请函|简历|通知|贺词|祝福|信件|письмо|статью|эссе|carta|ensayo|artículo|aufsatz|brief|lettre"),
    ("creative: role", "you are|act as|pretend|roleplay|role play|imagine you|imagine that|suppose you|assume you are|take on the role|play the role|in the style of|as if you|from the perspective|假设你是|你是一|扮演|假如你|作为一|ты|представь"),
    ("creative: length", "words|paragraphs|lines|pages|word essay|short|long|detailed|funny|humorous|romantic|dark|dramatic|emotional|catchy|creative|creatively|original|字|段落|生动|有趣|幽默|感人"),
    ("ideas", "brainstorm|ideas|suggestions|suggest|tips|recommend|recommendations|advice|ways to|best way|best ways|how to|how can i|how do i|how should i|names for|list of|plan|itinerary|schedule|strategy|strategies|steps|guide|what should|建议|方法|想法|主意|推荐|如何|怎样|怎么|提供一些|列举|列出|方案|计划|措施|策略|步骤|技巧|提出|应该"),
    ("explain", "explain|describe|define|definition|meaning of|difference between|differences between|compare|comparison|pros and cons|advantages|disadvantages|what is|what are|tell me about|discuss|why is|why are|why do|why does|how does|how do|overview|introduction to|history of|impact of|role of|importance of|benefits of|解释|描述|介绍|什么是|区别|为什么|原因|含义|定义|说明|阐述|优点|缺点|作用|是什么|有哪些|的影响|объясни|почему|explique|explica|erkläre"),
    ("analysis", "analyze|analyse|analysis|research|explain|compare|assess|investigate|examine|discuss|evaluate|interpret|critique|分析|解释|研究|比较|评估|讨论|探讨|阐述"),
    ("question: who", "who|whom|whose|谁|哪位|кто|quién|wer|qui"),
    ("question: what", "what|which|什么|哪个|哪些|哪种|哪一|что|какой|какая|qué|cuál|was|welche|quel|quelle"),
    ("question: when and where", "when|where|what year|which year|which country|which city|何时|哪里|哪年|何地|哪国|哪个国家|什么时候|多久|когда|где|cuándo|dónde|wann|wo|quand|où"),
    ("question: how many", "how many|how much|how long|how old|how far|how tall|how big|how often|多少|几|多大|多长|多高|多久|сколько|cuántos|cuánto|combien|wie viele"),
    ("question: why and how", "why|how|how come|what if|为什么|为何|如何|怎么|怎样|如果|假如|почему|как|por qué|cómo|warum|wie|pourquoi|comment"),
    ("question: yes or no", "is|are|does|do|did|can|could|will|would|should|has|have|was|were|is it|are there|true or false|yes or no|是否|是不是|能否|可以吗|对吗|真还是假|正确吗|是真的吗|吗"),
    ("question: known facts", "won|played|wrote|directed|invented|discovered|founded|born|died|capital|president|king|queen|prime minister|author|singer|actor|actress|movie|film|album|band|team|season|series|championship|world cup|olympics|population|river|mountain|country|located|known as|name of the|first|largest|smallest|highest|总统|首都|国家|城市|最大|最高|最长|第一|电影|导演|主演|作者|诞生|发明|世界上|历史|朝代|河流"),
    ("summarize", "summarize|summarise|summary|summarization|tldr|tl dr|key points|main points|main idea|main ideas|key takeaways|takeaways|in brief|condense|recap|gist|shorten|abstract|synopsis|outline|in one sentence|in a few sentences|bullet points|sum up|highlights|概括|总结|摘要|概述|要点|主旨|大意|中心思想|归纳|标题|主要内容|核心内容|一句话|简述|提炼|重点|主要观点|резюме|кратко|resume|resumir|resumen|zusammenfassung|fasse|résume|résumé|riassumi"),
    ("translate", "translate|translation|translated|translator|into english|into french|into spanish|into german|into chinese|into japanese|to english|to french|to spanish|to german|to chinese|in english|in french|in spanish|翻译|译成|译为|英文|英语|中文|法语|日语|德语|译文|переведи|перевод|traduce|traducir|traduis|traduire|übersetze|übersetzen|traduza|traduci|翻訳|번역"),
    ("rewrite", "rewrite|re write|rephrase|paraphrase|reword|restate|proofread|revise|polish|rework|grammar|grammatical|punctuation|spelling|typos|correct the|make it sound|more formal|more professional|more concise|more natural|formal tone|tone|simplify|replace|convert|change the|turn this|turn the|edit|edit this|improve|improve the|improve this|improve my|fix the grammar|better wording|active voice|passive voice|synonyms|combine the|same meaning|改写|重写|改成|改为|改编|润色|修改|替换|转换|重述|修正|纠正|语法|换成|换一|变成|更加|更改|重新|合并|简化|缩写|扩写|同义|反义|句子改|转化|重构|复述|被动|语气|通顺|流畅"),
    ("rewrite: thing", "sentence|sentences|paragraph|text|passage|wording|draft|my email|my essay|the following sentence|the following text|the following paragraph|this sentence|this text|this paragraph|句子|下列句|以下句|这句话|原句|这段话|语句|一段话|这段文|以下文本|文本|段落|下面的句"),
    ("extract", "extract|identify|find all|pull out|list all|list the|highlight|locate|parse|retrieve|entities|named entities|named entity|keywords|key words|phone numbers|email addresses|names of|dates|places|people mentioned|mentioned in|as json|in json|json format|csv format|table format|structured|抽取|提取|找出|识别|关键词|关键字|关键信息|列出所有|实体|人名|地名|姓名|日期|数据|表格|名词|动词|指出|获取|输出所有|考勤|信息提取"),
    ("classify", "classify|classification|categorize|categorise|category|categories|sentiment|positive or negative|positive|negative|neutral|label|labels|spam|which category|which class|belongs to|belong to|type of|tag|rate the|rating|scale of|score|topic of|detect|same meaning|paraphrase each other|express the same|entail|contradict|分类|类别|归类|判断|情感|积极|消极|中性|属于|标记|类型|极性|词性|分为|分组|打分|评分|褒义|贬义|标签|哪类|哪一类"),
    ("passage", "passage|paragraph|article|text|document|documents|context|excerpt|story|report|transcript|conversation|dialogue|email|letter|review|news|background|situation|plot|table|paper|contract|facts|information|snippet|source|段落|文章|文本|文段|文字|短文|上下文|材料|故事|新闻|资料|内容|对话|表格|段落中|文中|数据"),
    ("passage: pointer", "the following|following|below|above|given|this article|this text|this passage|this paragraph|this document|based on|according to|using the|from the|in the passage|in the text|in the article|in the document|given the|the given|provided|refer to|read the|use the|mentioned|以下|下面|下列|根据|基于|给定|上述|上文|阅读|按照|提供的|所给|从以下|从下面|将以下|依据|结合|针对|下方|请从"),
    ("doc question", "answer the question|answer the following|question below|answer based|answer from|according to the|based on the|what does the author|the author|does the text|does the passage|the speaker|in paragraph|section|clause|cannot answer|can t answer|no answer|unanswerable|not answerable|most likely|回答问题|以下问题|回答以下|回答下面|下面问题|问题|答案|根据上|根据文|文章中|文本回答|选择正确|选择填空|完形填空|最佳答案|选项"),
    ("reason: puzzle", "puzzle|riddle|logic|logical|logically|deduce|deduction|clue|clues|infer|inference|premise|premises|conclusion|syllogism|therefore|if and only|liar|truth teller|knights|knaves|paradox|constraints|lives in|next to each other|each person|must be|cannot be|valid|fallacy|推理|逻辑|推断|谜语|谜题|线索|前提|结论|真话|假话|脑筋急转弯|猜"),
    ("reason: steps", "step by step|think step|reasoning|reason|explain your reasoning|think carefully|chain of thought|let s think|show your work|analysis|analyze|analyse|critically|argument|arguments|analyze the|evaluate the|trade offs|tradeoffs|decide|decision|strategy|best option|why or why not|逐步|一步一步|思考|分析|论证|评估|理由|推导"),
    ("reason: relation", "taller|shorter|older|younger|older than|taller than|faster than|left of|right of|in front of|behind|between|brother|sister|father|mother|son of|daughter of|sits|sitting|before|after|first|last|position|ranked|比|高|矮|兄弟|姐妹|左边|右边"),
    ("counterfactual", "what if|imagine if|suppose|supposing|had not|had never|would have happened|hypothetically|如果|假如|假设|要是"),
    ("list", "list|give me|name|provide|top|examples|example|give an example|show me|enumerate|write down|列举|列出|给出|提供|举例|例子|示例|三个|五个|几个|一些|十个"),
    ("list: number", "two|three|four|five|six|seven|ten|twenty|00|三|五|十|两个|四个|六个"),
    ("sentence", "sentence|a sentence|one sentence|word|words|make a sentence|造句|组成|一句|关键词|关键字|主题|词语"),
    ("options", "options|choices|choose|select|pick|multiple choice|which of the following|correct answer|choose the|select the|best answer|选择|选项|哪项|选出|单选|填空|最合适"),
    ("talk", "hi|hello|hey|thanks|thank you|please|good morning|how are you|your name|you think|your opinion|do you|are you|can you|tell me|i want|i need|help me|i am|i m|my|你好|谢谢|请问|你觉得|你认为|你的|帮我|我想|我要|聊聊|您好"),
    ("advice", "health|diet|exercise|travel|trip|recipe|cook|job|career|interview|relationship|money|invest|business|study|learn|healthy|weight|friend|gift|健康|运动|旅游|旅行|学习|工作|生活|职业|投资|食谱|减肥|锻炼|压力"),
    ("study", "theory|philosophy|economics|biology|chemistry|physics|psychology|history|politics|culture|science|technology|society|ethics|quantum|evolution|climate|energy|government|war|revolution|art|music|人工智能|技术|社会|经济|科学|文化|环境|气候|能源"),
    ("table", "csv|table|spreadsheet|rows|columns|column|row|表格|数据表|姓名,|编号|日志|log|info|timestamp"),
    ("dialogue", "客服|客户|经纪人|顾客|customer|agent|speaker|interviewer|doctor|patient|teacher|student|医生|患者|老师|学生|父亲|母亲"),
];

/// The phrases of all groups by the hash of their words.
#[derive(Debug)]
pub(super) struct Lexicon {
    /// The hash of a phrase or of its beginning; zero where nothing is.
    phrases: Box<[u32]>,
    /// The groups that have it, as bits, and [`GOES_ON`].
    groups: Box<[u64]>,
}

impl Lexicon {
    pub(super) fn new() -> Self {
        let mut lexicon = Self { phrases: vec![0; SLOTS].into(), groups: vec![0; SLOTS].into() };
        let (mut folded, mut words) = (Vec::new(), Vec::new());
        for (group, (_, phrases)) in TABLE.iter().enumerate() {
            for phrase in phrases.split('|') {
                for form in forms(phrase) {
                    fold([&form, ""], &mut folded);
                    tokens(&folded, &mut words);
                    for length in 1..words.len() {
                        lexicon.add(hash(&words[..length]), GOES_ON);
                    }
                    lexicon.add(hash(&words), 1 << group);
                }
            }
        }
        lexicon
    }

    /// Fills in what stands where: for each group, how often it was found anywhere, and whether at the edges.
    pub(super) fn look(&self, tokens: &[Token], into: &mut [f32]) {
        let last = tokens.len().saturating_sub(EDGE);
        let mut counts = [0_u16; GROUPS];
        for at in 0..tokens.len() {
            let mut groups = 0;
            let mut phrase = 0;
            for token in tokens[at..].iter().take(LONGEST) {
                phrase = step(phrase, token.hash);
                let found = self.find(phrase);
                groups |= found & !GOES_ON;
                if found & GOES_ON == 0 {
                    break;
                }
            }
            while groups != 0 {
                let group = groups.trailing_zeros() as usize;
                groups &= groups - 1;
                counts[group] = counts[group].saturating_add(1);
                into[group * ZONES + 1] = if at < EDGE { 1.0 } else { into[group * ZONES + 1] };
                into[group * ZONES + 2] = if at >= last { 1.0 } else { into[group * ZONES + 2] };
            }
        }
        for (group, &count) in counts.iter().enumerate() {
            // One says most of it.
            into[group * ZONES] = [0.0, 0.6, 0.8, 0.9, 1.0][usize::from(count.min(4))];
        }
    }

    fn add(&mut self, phrase: u32, groups: u64) {
        let slot = self.slot(phrase);
        self.phrases[slot] = phrase;
        self.groups[slot] |= groups;
    }

    fn find(&self, phrase: u32) -> u64 {
        self.groups[self.slot(phrase)]
    }

    /// Where a phrase is, or would be.
    fn slot(&self, phrase: u32) -> usize {
        let mut slot = phrase as usize % SLOTS;
        while self.phrases[slot] != phrase && self.phrases[slot] != 0 {
            slot = (slot + 1) % SLOTS;
        }
        slot
    }
}

fn hash(words: &[Token]) -> u32 {
    words.iter().fold(0, |hash, word| step(hash, word.hash))
}

/// A phrase, and if it is one English word, with the usual endings.
fn forms(phrase: &str) -> Vec<String> {
    let mut forms = vec![phrase.to_owned()];
    if phrase.len() > 3 && phrase.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        let stem = phrase.strip_suffix('e').unwrap_or(phrase);
        forms.extend(["s", "d", "ed", "r"].map(|ending| format!("{phrase}{ending}")));
        forms.extend(["ing", "es"].map(|ending| format!("{stem}{ending}")));
    }
    forms
}
